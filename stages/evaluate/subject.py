"""The model under evaluation with its tokenizer: what every metric asks it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from cluster.devices import device
from model import CWM, Packing
from model.checkpoint import load_pretrained
from model.generate import Generator
from model.tokens import Tokenizer
from stages.evaluate.settings import EvaluatePlacement, EvaluateSettings

_LOGITS_AT_ONCE = 1 << 23


@dataclass(frozen=True, slots=True)
class Subject:
    """A checkpoint ready to be asked."""

    model: CWM
    tokenizer: Tokenizer
    generator: Generator
    context_length: int
    row_tokens: int

    @classmethod
    def load(
        cls, folder: Path, settings: EvaluateSettings, placement: EvaluatePlacement
    ) -> Subject:
        """Load a checkpoint onto this process's device: float32 on CPU, bfloat16 on a GPU."""
        where = device()
        model = load_pretrained(folder).eval().requires_grad_(False)
        model.to(where, torch.float32 if where.type == "cpu" else torch.bfloat16)
        tokenizer = Tokenizer.load(folder)
        generator = Generator(
            model,
            max_length=settings.context_length,
            stop_ids=tokenizer.stop_ids,
            batch=placement.lanes,
            seed=settings.seed,
        )
        return cls(model, tokenizer, generator, settings.context_length, placement.row_tokens)

    def losses(self, documents: Sequence[Sequence[int]]) -> list[float]:
        """Return each document's total nats, its first token given.

        A document longer than the context goes in windows; each token is scored once.
        """
        windows = [
            (place, ids[start : start + self.context_length + 1])
            for place, ids in enumerate(documents)
            for start in range(0, len(ids) - 1, self.context_length)
        ]
        totals = [0.0] * len(documents)
        nats = self.token_losses([ids for _, ids in windows])
        for (place, _), part in zip(windows, nats, strict=True):
            totals[place] += float(part.double().sum())
        return totals

    def token_losses(self, documents: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        """Return the nats of each document's tokens, from the second on.

        Documents must fit the context.
        """
        found: list[torch.Tensor] = []
        for row in rows(list(enumerate(documents)), self.row_tokens):
            ids, labels, packing = self._pack([ids for _, ids in row])
            with torch.inference_mode():
                losses = self.model(ids, packing, labels, reduction="none")
            found += losses.split(packing.lengths)
        return found

    def hits(self, documents: Sequence[Sequence[int]]) -> list[list[bool]]:
        """Say of each document's tokens, from the second on, whether greedy decoding chooses it.

        Given the true tokens before it; so greedy decoding from some place writes a true passage
        exactly when all its tokens are hits. Documents must fit the context.
        """
        found: list[list[bool]] = []
        for row in rows(list(enumerate(documents)), self.row_tokens):
            ids, labels, packing = self._pack([ids for _, ids in row])
            with torch.inference_mode():
                hidden = self.model.hidden(ids, packing)
                at_once = math.ceil(_LOGITS_AT_ONCE / self.model.config.vocab_size)
                best = [self.model.lm_head(part).argmax(-1) for part in hidden.split(at_once)]
            right = torch.cat(best) == labels
            found += [part.tolist() for part in right.split(packing.lengths)]
        return found

    def _pack(
        self, documents: Sequence[Sequence[int]]
    ) -> tuple[torch.Tensor, torch.Tensor, Packing]:
        where = self.model.lm_head.weight.device
        ids = torch.tensor([i for d in documents for i in d[:-1]], device=where)
        labels = torch.tensor([i for d in documents for i in d[1:]], device=where)
        return ids, labels, Packing.of([len(d) - 1 for d in documents], where)

    def answers(
        self,
        prompts: list[list[int]],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        samples: int = 1,
        stop_ids: Sequence[int] | None = None,
    ) -> list[list[list[int]]]:
        """Return the tokens of ``samples`` answers to each prompt; greedy at temperature 0."""
        found = self.generator.generate(
            prompts,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            samples=samples,
            stop_ids=stop_ids,
        )
        return [[sample.tokens for sample in group] for group in found]

    def text(self, ids: Iterable[int]) -> str:
        """Return the text of ``ids``; a model's vocabulary may be padded beyond the tokenizer's."""
        return self.tokenizer.decode(i for i in ids if i < self.tokenizer.vocab_size)


def rows(
    documents: Sequence[tuple[int, Sequence[int]]], budget: int
) -> Iterator[list[tuple[int, Sequence[int]]]]:
    """Group consecutive documents into rows of at most ``budget`` tokens, or of one document."""
    row: list[tuple[int, Sequence[int]]] = []
    size = 0
    for document in documents:
        if row and size + len(document[1]) > budget:
            yield row
            row, size = [], 0
        row.append(document)
        size += len(document[1])
    if row:
        yield row
