"""Batched decoding with a key-value cache: many prompts, each sampled several times, in a few dozen
lanes.

Ragged prompts are read as packed rows; a lane whose sample is finished is given to the next prompt
(continuous batching). A sample depends on (seed, call, prompt's place, sample's place) only, not on
which lanes ran beside it (up to rounding). Weights are read where they are, so they may be replaced
in place between calls, or by ``refresh`` between two steps, in the middle of a sample (PipelineRL,
arXiv 2509.19128; the keys and values of the tokens before stay as they were computed).

The forward is that of `model.decoding`, the choice of a token that of `model.sampling`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from model.cache import Cache, Prefill, Step
from model.decoding import Decoder
from model.guide import Guidance, Guide
from model.packing import Packing
from model.sampling import SamplingError, check_settings, draw
from model.transformer import CWM

_ROW_TOKENS = 8192  # of prompts that are read at once; bounds memory (a longer prompt goes alone)


class PromptError(ValueError):
    """A prompt cannot be continued: it is empty, as long as ``max_length``, or has a token id
    outside the vocabulary."""


def check_call(
    prompts: Sequence[Sequence[int]],
    guides: Sequence[Guide | None] | None,
    *,
    max_length: int,
    vocabulary: int,
) -> None:
    """Raise `PromptError` for a prompt that cannot be continued, `ValueError` for other than one
    guide per prompt."""
    if guides is not None and len(guides) != len(prompts):
        raise ValueError(f"{len(guides)} guides for {len(prompts)} prompts")
    for place, prompt in enumerate(prompts):
        _check_prompt(place, prompt, max_length, vocabulary)


def _check_prompt(place: int, prompt: Sequence[int], max_length: int, vocabulary: int) -> None:
    if not 0 < len(prompt) < max_length:
        raise PromptError(
            f"prompt {place} has {len(prompt)} tokens; allowed: 1 to {max_length - 1}"
        )
    if min(prompt) < 0 or max(prompt) >= vocabulary:
        at = next(i for i, token in enumerate(prompt) if not 0 <= token < vocabulary)
        raise PromptError(
            f"prompt {place} has the token id {prompt[at]} at position {at};"
            f" allowed: 0 to {vocabulary - 1}"
        )


@dataclass(slots=True)
class Sample:
    """A continuation: its tokens (with the stop token, if one came) and what is known of each.

    ``logprobs`` (nats) are the sampler's own: after temperature and before top-p; for greedy
    decoding they are at temperature 1. A ``forced`` token, which a guide wrote, has the one that
    the sampler gave it; where a guide's mask ruled tokens out, the rest is renormalised.
    ``versions``: of the weights that each token was chosen with (0 without ``refresh``).
    ``finished``: a stop token came, rather than a limit.
    """

    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    forced: list[bool] = field(default_factory=list)
    finished: bool = False


@dataclass(slots=True)
class _Request:
    prompt: list[int]
    limit: int  # new tokens
    guidance: Guidance | None
    uniforms: list[float]  # in [0, 1), one per new token; none for greedy decoding
    sample: Sample = field(default_factory=Sample)


class Generator:
    """Decodes with ``model``; ``max_length`` bounds prompt + continuation, ``batch`` the lanes.

    Computes in the weights' type, under autocast too. Not for several threads at a time: calls
    share the tables of `model.decoding.Decoder`. `SamplingError` for a ``batch`` below 1.

    ``refresh`` is called before prompts are read and before every step; it may replace the weights
    in place, and returns their version.
    """

    def __init__(
        self,
        model: CWM,
        *,
        max_length: int,
        stop_ids: Sequence[int],
        batch: int = 64,
        seed: int = 0,
        refresh: Callable[[], int] | None = None,
    ) -> None:
        if batch < 1:
            raise SamplingError(f"batch is {batch}; allowed: 1 or more")
        self.model = model
        self.max_length = max_length
        self.stop_ids = tuple(stop_ids)
        self.batch = batch
        self.seed = seed
        self.refresh = refresh or (lambda: 0)
        self.decoder = Decoder(model)
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
        guides: Sequence[Guide | None] | None = None,
    ) -> list[list[Sample]]:
        """Return ``samples`` continuations of each prompt, in order; ``temperature`` 0 is greedy.

        ``guides``: one per prompt, or None where the model is free. Raises `PromptError` for a
        prompt that is empty, leaves no room or is not of the vocabulary, `GuideError` for a guide
        that asks for the impossible, `SamplingError` for a setting outside its range, and
        `ValueError` for other than one guide per prompt.
        """
        check_settings(
            max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, samples=samples
        )
        vocabulary = self.model.config.vocab_size
        check_call(prompts, guides, max_length=self.max_length, vocabulary=vocabulary)
        requests = []
        for i, prompt in enumerate(prompts):
            limit = min(max_new_tokens, self.max_length - len(prompt))
            guide = None if guides is None else guides[i]
            for j in range(samples):
                uniforms = self._uniforms(i, j, limit) if temperature > 0 else []
                requests.append(_Request(prompt, limit, self._guidance(guide, i, j), uniforms))
        stops = self.stop_ids if stop_ids is None else tuple(stop_ids)
        self.calls += 1
        with torch.inference_mode(), torch.autocast(self.decoder.device.type, enabled=False):
            _Decoding(self, requests, frozenset(stops), temperature, top_p).run()
        return [
            [r.sample for r in requests[i * samples : (i + 1) * samples]]
            for i in range(len(prompts))
        ]

    def _guidance(self, guide: Guide | None, place: int, sample: int) -> Guidance | None:
        if guide is None:
            return None
        name = f"sample {sample} of prompt {place}"
        return Guidance(guide, self.model.config.vocab_size, name)

    def _uniforms(self, place: int, sample: int, count: int) -> list[float]:
        """Return one uniform number per new token, from a stream of the sample's own."""
        stream = np.random.Generator(np.random.Philox([self.seed, self.calls, place, sample]))
        drawn: list[float] = stream.random(count, dtype=np.float32).tolist()
        return drawn


class _Decoding:
    """One call of `Generator.generate`: the queue, the lanes and what each lane is at."""

    def __init__(
        self,
        generator: Generator,
        requests: list[_Request],
        stops: frozenset[int],
        temperature: float,
        top_p: float,
    ) -> None:
        self.generator, self.attention = generator, generator.model.attention
        self.stops, self.temperature, self.top_p = stops, temperature, top_p
        self.waiting = requests[::-1]  # the next one is the last
        lanes = min(generator.batch, len(requests))
        longest = max((len(r.prompt) + r.limit for r in requests), default=1)
        self.decoder = generator.decoder
        self.version = generator.refresh()
        self.decoder.prepare(longest)
        self.device = self.decoder.device
        self.cache = Cache(self.decoder.config, lanes, longest, self.device, self.decoder.dtype)
        self.lane: list[_Request | None] = [None] * lanes
        self.tokens = [0] * lanes  # each lane's last token, not yet in the cache
        self.positions = [0] * lanes  # where that token stands

    @property
    def active(self) -> list[int]:
        """The lanes that have a request."""
        return [i for i, request in enumerate(self.lane) if request is not None]

    def run(self) -> None:
        """Decode until every request is finished."""
        while self.waiting or self.active:
            self._refill()
            active = self.active
            if not active:
                continue  # all that were just read were finished by their first token
            if not self.waiting and len(active) * 2 <= len(self.lane):
                self._shrink(active)
            self._step()

    def _refresh(self) -> None:
        """Take up newer weights, if there are."""
        version = self.generator.refresh()
        if version != self.version:
            self.version = version
            self.decoder.sync()

    def _refill(self) -> None:
        """Give free lanes to waiting requests, once an eighth of the lanes is free."""
        free = [i for i, request in enumerate(self.lane) if request is None]
        if not free or not self.waiting:
            return
        prompts: list[list[int]] = []
        lanes: list[list[int]] = []  # of each prompt: one per sample
        for lane in free[: len(self.waiting)]:
            request = self.waiting.pop()
            self.lane[lane] = request
            if not prompts or prompts[-1] is not request.prompt:
                prompts.append(request.prompt)
                lanes.append([])
            lanes[-1].append(lane)
        for part in _rows(prompts):
            self._prefill(prompts[part], lanes[part])

    def _prefill(self, prompts: list[list[int]], lanes: list[list[int]]) -> None:
        self._refresh()
        packing = Packing.of([len(p) for p in prompts], self.device)
        ids_T = torch.tensor([token for p in prompts for token in p], device=self.device)
        attend = Prefill(self.cache, self.attention, packing, lanes)
        hidden_TE = self.decoder.hidden(ids_T, packing.positions, attend)
        ends = packing.cu_seqlens[1:].long() - 1
        copies = torch.tensor([len(targets) for targets in lanes], device=self.device)
        logits_BV = self.decoder.logits(hidden_TE[ends]).repeat_interleave(copies, 0)
        self._choose(logits_BV, [lane for targets in lanes for lane in targets])

    def _step(self) -> None:
        self._refresh()
        step = Step(self.cache, self.positions)
        ids_B = torch.tensor(self.tokens, device=self.device)
        hidden_BE = self.decoder.hidden(ids_B, step.positions_B, step)
        active = self.active
        if len(active) < len(self.lane):
            hidden_BE = hidden_BE[torch.tensor(active, device=self.device)]
        self._choose(self.decoder.logits(hidden_BE), active)

    def _choose(self, logits_BV: torch.Tensor, lanes: list[int]) -> None:
        """Choose the next token of each of ``lanes``, file it, free the finished lanes."""
        requests = [request for lane in lanes if (request := self.lane[lane]) is not None]
        told = {
            row: request.guidance.next(request.sample.tokens)
            for row, request in enumerate(requests)
            if request.guidance is not None
        }
        forced = {row: next for row, next in told.items() if isinstance(next, int)}
        chosen = draw(
            logits_BV,
            temperature=self.temperature,
            top_p=self.top_p,
            uniforms=[r.uniforms[len(r.sample.tokens)] for r in requests if r.uniforms],
            forced=forced,
            allowed={row: next for row, next in told.items() if isinstance(next, torch.Tensor)},
        )
        for row, (token, logprob) in enumerate(zip(*chosen, strict=True)):
            sample = requests[row].sample
            sample.tokens.append(token)
            sample.logprobs.append(logprob)
            sample.versions.append(self.version)
            sample.forced.append(row in forced)
            sample.finished = token in self.stops
            self._advance(lanes[row], requests[row])

    def _advance(self, lane: int, request: _Request) -> None:
        """Set a lane to its last token, or free it."""
        tokens = request.sample.tokens
        if request.sample.finished or len(tokens) == request.limit:
            # an idle lane goes on at position 0, where it costs least
            self.lane[lane], self.tokens[lane], self.positions[lane] = None, 0, 0
        else:
            self.tokens[lane] = tokens[-1]
            self.positions[lane] = len(request.prompt) + len(tokens) - 1

    def _shrink(self, active: list[int]) -> None:
        """Drop the idle lanes: nobody is waiting for them."""
        self.cache.keep(active)
        self.lane = [self.lane[i] for i in active]
        self.tokens = [self.tokens[i] for i in active]
        self.positions = [self.positions[i] for i in active]


def _rows(prompts: list[list[int]]) -> Iterator[slice]:
    """Cut ``prompts`` into consecutive parts of at most `_ROW_TOKENS` tokens, or of one prompt."""
    start = tokens = 0
    for end, prompt in enumerate(prompts):
        if end > start and tokens + len(prompt) > _ROW_TOKENS:
            yield slice(start, end)
            start, tokens = end, 0
        tokens += len(prompt)
    if prompts:
        yield slice(start, len(prompts))


if __name__ == "__main__":
    from model.prediction_command import main

    main()
