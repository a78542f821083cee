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

from model.guide import Guidance, GuideError

ARGUMENT = "guide"
"""The key of ``SamplingParams.extra_args`` that holds the number."""


@dataclass(slots=True)
class Guided:
    """One request's guide at work, and what it has decided for each place of the continuation."""

    guidance: Guidance
    temperature: float  # 1 for greedy decoding
    told: list[int | torch.Tensor | None] = field(default_factory=list)
    # what the model itself would have given each forced token, nats, by place
    logprobs: dict[int, float] = field(default_factory=dict)
    error: GuideError | None = None  # to be raised when vLLM has ended: it does not survive one

    def __call__(self, written: Sequence[int], logits_V: torch.Tensor) -> torch.Tensor:
        """Return the logits to choose the next token from.

        vLLM may come to one place several times (a prompt that is read in parts, a request that had
        to give up its cache); the guide is asked once.
        """
        place = len(written)
        if place == len(self.told):
            self.told.append(self._ask(written))
        told = self.told[place]
        if told is None:
            return logits_V
        if isinstance(told, torch.Tensor):
            return logits_V.masked_fill(~told.to(logits_V.device), -torch.inf)
        self.logprobs[place] = float((logits_V / self.temperature).log_softmax(-1)[told])
        only_V = torch.full_like(logits_V, -torch.inf)
        only_V[told] = 0.0
        return only_V

    def _ask(self, written: Sequence[int]) -> int | torch.Tensor | None:
        if self.error is not None:
            return None
        try:
            return self.guidance.next(written)
        except GuideError as error:
            self.error = error
            return None


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
