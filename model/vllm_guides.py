"""Guides (`model.guide`) as vLLM's logits processors. Importing this module needs vLLM.

vLLM makes the processor itself, so a request carries the number under which its guide is filed
here; both live in one process (`model.vllm` sees to it).

Shape suffix: V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

from model.guide import Allowed, Forced, Guide

ARGUMENT = "guide"
"""The key of ``SamplingParams.extra_args`` that holds the number."""


@dataclass(slots=True)
class Guided:
    """One request's guide, and what it has decided so far."""

    guide: Guide
    temperature: float  # 1 for greedy decoding
    forced: dict[int, int] = field(default_factory=dict)  # place in the continuation: token
    # what the model itself would have given each forced token, nats
    logprobs: dict[int, float] = field(default_factory=dict)

    def __call__(self, written: Sequence[int], logits_V: torch.Tensor) -> torch.Tensor:
        """Return the logits to choose the next token from.

        vLLM may ask again for the same place (a prompt that is read in parts, a request that had
        to give up its cache); a guide being a pure function, the answer is the same.
        """
        place = len(written)
        if place not in self.forced:
            told = self.guide(written)
            if isinstance(told, Allowed):
                return logits_V.masked_fill(~told.mask_V.to(logits_V.device), -torch.inf)
            if isinstance(told, Forced):
                self.forced |= {place + i: token for i, token in enumerate(told.tokens)}
        token = self.forced.get(place)
        if token is None:
            return logits_V
        self.logprobs[place] = float((logits_V / self.temperature).log_softmax(-1)[token])
        only_V = torch.full_like(logits_V, -torch.inf)
        only_V[token] = 0.0
        return only_V


FILED: dict[int, Guided] = {}
"""The guides of the requests that are being decoded."""


class GuideProcessor(AdapterLogitsProcessor):  # type: ignore[misc,unused-ignore]
    """Asks each request's guide, before temperature and top-p."""

    def is_argmax_invariant(self) -> bool:
        """A guide may change what greedy decoding takes."""
        return False

    def new_req_logits_processor(self, params: Any) -> Guided | None:
        """Return the guide of a request, if it has one."""
        return FILED.get((params.extra_args or {}).get(ARGUMENT, -1))
