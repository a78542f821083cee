"""Batched decoding with a key-value cache: many prompts, each sampled several times, in a few dozen
lanes.

Ragged prompts are read as one packed row; a lane whose sample is finished is given to the next
prompt. A sample depends on (seed, call, prompt's place, sample's place) only, not on which lanes
ran beside it (up to rounding). Weights are read at every call, so they may be replaced in place
between calls.

Shape suffixes: B lanes, T tokens, E hidden width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from model.cache import Cache, Prefill, Step
from model.packing import Packing
from model.transformer import CWM


class PromptError(ValueError):
    """A prompt cannot be continued: it is empty, or already as long as ``max_length``."""


@dataclass(slots=True)
class Sample:
    """A continuation: its tokens (with the stop token, if one came) and the sampler's own
    log-probabilities.

    ``logprobs`` (nats) are after temperature and before top-p; for greedy decoding they are at
    temperature 1. ``finished``: a stop token came, rather than a limit.
    """

    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finished: bool = False


@dataclass(slots=True)
class _Request:
    prompt: list[int]
    place: tuple[int, int]  # prompt, sample
    limit: int  # new tokens
    sample: Sample = field(default_factory=Sample)


class Generator:
    """Decodes with ``model``; ``max_length`` bounds prompt + continuation, ``batch`` the lanes."""

    def __init__(
        self,
        model: CWM,
        *,
        max_length: int,
        stop_ids: Sequence[int],
        batch: int = 64,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.max_length = max_length
        self.stop_ids = tuple(stop_ids)
        self.batch = batch
        self.seed = seed
        self.calls = 0  # part of each sample's randomness: equal calls one after the other differ

    def generate(
        self,
        prompts: list[list[int]],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        samples: int = 1,
        stop_ids: Sequence[int] | None = None,
    ) -> list[list[Sample]]:
        """Return ``samples`` continuations of each prompt, in order; ``temperature`` 0 is greedy.

        Raises `PromptError` for a prompt that is empty or leaves no room.
        """
        requests = []
        for i, prompt in enumerate(prompts):
            if not 0 < len(prompt) < self.max_length:
                raise PromptError(
                    f"prompt {i} has {len(prompt)} tokens; allowed: 1 to {self.max_length - 1}"
                )
            limit = min(max_new_tokens, self.max_length - len(prompt))
            requests += [_Request(prompt, (i, j), limit) for j in range(samples)]
        stops = self.stop_ids if stop_ids is None else tuple(stop_ids)
        uniforms = self._uniforms(requests) if temperature > 0 else None
        self.calls += 1
        with torch.inference_mode():
            _Decoding(self, requests, stops, temperature, top_p, uniforms).run()
        return [
            [r.sample for r in requests[i * samples : (i + 1) * samples]]
            for i in range(len(prompts))
        ]

    def _uniforms(self, requests: list[_Request]) -> list[torch.Tensor]:
        """One uniform number per request and step, from a stream of the request's own."""
        streams = (np.random.Philox([self.seed, self.calls, *r.place]) for r in requests)
        return [
            torch.from_numpy(np.random.Generator(stream).random(request.limit, dtype=np.float32))
            for stream, request in zip(streams, requests, strict=True)
        ]


class _Decoding:
    """One call of `Generator.generate`: the queue, the lanes and what each lane is at."""

    def __init__(
        self,
        generator: Generator,
        requests: list[_Request],
        stops: tuple[int, ...],
        temperature: float,
        top_p: float,
        uniforms: list[torch.Tensor] | None,
    ) -> None:
        self.model = generator.model
        self.requests, self.stops = requests, frozenset(stops)
        self.temperature, self.top_p, self.uniforms = temperature, top_p, uniforms
        self.weight = self.model.lm_head.weight
        lanes = min(generator.batch, len(requests))
        longest = max((len(r.prompt) + r.limit for r in requests), default=1)
        device = self.weight.device
        self.cache = Cache(self.model.config, lanes, longest, device, self.weight.dtype)
        self.next = 0  # the first request that has no lane yet
        self.lane: list[int | None] = [None] * lanes  # the request in each lane
        self.tokens = [0] * lanes  # each lane's last token, not yet in the cache
        self.positions = [0] * lanes  # where that token stands

    def run(self) -> None:
        """Decode until every request is finished."""
        while True:
            self._refill()
            active = [i for i, request in enumerate(self.lane) if request is not None]
            if not active:
                if self.next == len(self.requests):
                    return
                continue  # all that were just read were finished by their first token
            if self.next == len(self.requests) and len(active) * 2 <= len(self.lane):
                self._shrink(active)
            self._step()

    def _refill(self) -> None:
        """Give free lanes to waiting requests, once an eighth of the lanes is free."""
        free = [i for i, request in enumerate(self.lane) if request is None]
        waiting = len(self.requests) - self.next
        if not waiting or len(free) < min(waiting, max(1, len(self.lane) // 8)):
            return
        prompts: list[list[int]] = []
        lanes: list[list[int]] = []
        for lane in free[:waiting]:
            request = self.requests[self.next]
            if not prompts or prompts[-1] is not request.prompt:
                prompts.append(request.prompt)
                lanes.append([])
            lanes[-1].append(lane)
            self.lane[lane] = self.next
            self.next += 1
        self._prefill(prompts, lanes)

    def _prefill(self, prompts: list[list[int]], lanes: list[list[int]]) -> None:
        device = self.weight.device
        packing = Packing.of([len(p) for p in prompts], device)
        ids_T = torch.tensor([token for p in prompts for token in p], device=device)
        attend = Prefill(self.cache, self.model.attention, packing, lanes)
        hidden_TE = self.model.model(ids_T, packing.positions, attend)
        ends = packing.cu_seqlens[1:].long() - 1
        copies = torch.tensor([len(targets) for targets in lanes], device=device)
        logits_BV = self.model.lm_head(hidden_TE[ends]).repeat_interleave(copies, 0)
        self._choose(logits_BV, [lane for targets in lanes for lane in targets])

    def _step(self) -> None:
        device = self.weight.device
        positions_B = torch.tensor(self.positions, device=device)
        step = Step(self.cache, positions_B, max(self.positions))
        ids_B = torch.tensor(self.tokens, device=device)
        hidden_BE = self.model.model(ids_B, positions_B, step)
        logits_BV = self.model.lm_head(hidden_BE)
        active = [i for i, request in enumerate(self.lane) if request is not None]
        if len(active) < len(self.lane):
            logits_BV = logits_BV[torch.tensor(active, device=device)]
        self._choose(logits_BV, active)

    def _choose(self, logits_BV: torch.Tensor, lanes: list[int]) -> None:
        """Draw the next token of each of ``lanes``, file it, free the finished lanes."""
        chosen, logprobs = self._draw(logits_BV, lanes)
        for lane, token, logprob in zip(lanes, chosen, logprobs, strict=True):
            index = self.lane[lane]
            assert index is not None
            request = self.requests[index]
            sample = request.sample
            sample.tokens.append(token)
            sample.logprobs.append(logprob)
            sample.finished = token in self.stops
            self.tokens[lane] = token
            self.positions[lane] = len(request.prompt) + len(sample.tokens) - 1
            if sample.finished or len(sample.tokens) == request.limit:
                # an idle lane goes on at position 0, where it costs least
                self.lane[lane], self.tokens[lane], self.positions[lane] = None, 0, 0

    def _draw(self, logits_BV: torch.Tensor, lanes: list[int]) -> tuple[list[int], list[float]]:
        if self.uniforms is None:
            logprobs_BV = logits_BV.float().log_softmax(-1)
            chosen_B = logprobs_BV.argmax(-1)
        else:
            logprobs_BV = (logits_BV.float() / self.temperature).log_softmax(-1)
            drawn = [self._uniform(lane) for lane in lanes]
            chosen_B = _inverse_cdf(logprobs_BV, torch.tensor(drawn), self.top_p)
        picked = logprobs_BV.gather(1, chosen_B.unsqueeze(1)).squeeze(1)
        return chosen_B.tolist(), picked.tolist()

    def _uniform(self, lane: int) -> float:
        index = self.lane[lane]
        assert index is not None and self.uniforms is not None
        return float(self.uniforms[index][len(self.requests[index].sample.tokens)])

    def _shrink(self, active: list[int]) -> None:
        """Drop the idle lanes: nobody is waiting for them."""
        self.cache.keep(torch.tensor(active, device=self.weight.device))
        self.lane = [self.lane[i] for i in active]
        self.tokens = [self.tokens[i] for i in active]
        self.positions = [self.positions[i] for i in active]


def _inverse_cdf(logprobs_BV: torch.Tensor, uniforms_B: torch.Tensor, top_p: float) -> torch.Tensor:
    """Return the token at which each row's cumulative probability passes its uniform number.

    With ``top_p`` < 1 only the smallest set of most probable tokens that reaches it takes part.
    """
    probabilities = logprobs_BV.exp().double()
    order = None
    if top_p < 1.0:
        probabilities, order = probabilities.sort(-1, descending=True)
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities.masked_fill(before >= top_p, 0.0)
    cumulative = probabilities.cumsum(-1)
    total = cumulative[:, -1:]
    targets = uniforms_B.to(total.device, total.dtype).unsqueeze(1) * total
    index = torch.searchsorted(cumulative, targets, right=True).squeeze(1)
    index = torch.minimum(index, (cumulative < total).sum(-1))  # never past the last possible token
    return index if order is None else order.gather(1, index.unsqueeze(1)).squeeze(1)
