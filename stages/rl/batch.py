"""Packing items into the trainer's micro-batches, and dividing them among ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from model.packing import Packing
from stages.rl.selection import Item

IGNORED = -100


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """A packed row of whole contexts; every tensor is [T].

    ``labels`` are the next tokens where the agent wrote them, else -100; ``old_log_probs`` and
    ``advantages`` belong to the label at the same place.
    """

    ids: torch.Tensor
    labels: torch.Tensor
    old_log_probs: torch.Tensor
    advantages: torch.Tensor
    fresh: torch.Tensor
    """Where the sampler's weights were exactly the trainer's."""
    packing: Packing

    @property
    def mask(self) -> torch.Tensor:
        """Where the objective has a term."""
        return self.labels != IGNORED


def divide(items: Sequence[Item], ranks: int) -> list[list[Item]]:
    """Share items out so that ranks have about equal tokens: longest first, to the least loaded."""
    shares: list[list[Item]] = [[] for _ in range(ranks)]
    loads = [0] * ranks
    order = sorted(range(len(items)), key=lambda i: (-len(items[i].tokens), i))
    for index in order:
        rank = loads.index(min(loads))
        shares[rank].append(items[index])
        loads[rank] += len(items[index].tokens)
    return shares


def split(items: Sequence[Item], max_tokens: int) -> list[list[Item]]:
    """Cut a rank's items into runs of at most ``max_tokens`` (a longer single item stays whole)."""
    runs: list[list[Item]] = []
    load = 0
    for item in items:
        if not runs or load + len(item.tokens) > max_tokens:
            runs.append([])
            load = 0
        runs[-1].append(item)
        load += len(item.tokens)
    return runs


def rounds(items: Sequence[Item], ranks: int, rank: int, max_tokens: int) -> list[list[Item]]:
    """A rank's micro-batches; every rank gets equally many, for ZeRO-3 moves in step.

    What is missing is filled with an item of no advantage, whose gradient is zero.
    """
    mine: list[list[Item]] = []
    longest = 0
    for number, share in enumerate(divide(items, ranks)):
        runs = split(share, max_tokens)
        longest = max(longest, len(runs))
        mine = runs if number == rank else mine
    idle = replace(items[0], advantage=0.0, agent=[False] * len(items[0].tokens))
    return mine + [[idle]] * (longest - len(mine))


def pack(items: Sequence[Item], device: torch.device | str = "cpu") -> MicroBatch:
    """Concatenate items into one row."""
    ids: list[int] = []
    labels: list[int] = []
    old: list[float] = []
    advantages: list[float] = []
    fresh: list[bool] = []
    for item in items:
        ids.extend(item.tokens)
        agent = item.agent[1:]
        labels.extend(t if a else IGNORED for t, a in zip(item.tokens[1:], agent, strict=True))
        labels.append(IGNORED)
        old.extend([*item.log_probs[1:], 0.0])
        advantages.extend([item.advantage] * len(item.tokens))
        fresh.extend([item.fresh] * len(item.tokens))
    return MicroBatch(
        ids=torch.tensor(ids, dtype=torch.int64, device=device),
        labels=torch.tensor(labels, dtype=torch.int64, device=device),
        old_log_probs=torch.tensor(old, dtype=torch.float32, device=device),
        advantages=torch.tensor(advantages, dtype=torch.float32, device=device),
        fresh=torch.tensor(fresh, device=device),
        packing=Packing.of([len(item.tokens) for item in items], device=device),
    )
