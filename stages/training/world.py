"""Which numbers of workers can share a step's rows, and what to change when they cannot.

A step is ``rows_per_step`` rows. Groups of ``sequence_parallel`` workers take ``micro_rows`` whole
rows at a time, and every group takes as many as any other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stages.training.settings import TrainingPlacement, TrainingSettings


class WorldError(ValueError):
    """Workers cannot share a step's rows; names the settings and the nearest values that work."""


class SequenceParallelError(WorldError):
    """Workers or heads cannot be divided into groups that share a row."""


def check_groups(size: int, *, workers: int, kv_heads: int) -> None:
    """Raise `SequenceParallelError` unless groups of ``size`` divide the workers and the heads."""
    if size < 1 or workers % size:
        raise SequenceParallelError(
            f"sequence_parallel = {size} does not divide the workers, {workers:,}: a row is shared"
            " by so many of them"
        )
    if kv_heads % size:
        raise SequenceParallelError(
            f"sequence_parallel = {size} does not divide the model's kv_heads = {kv_heads}: in"
            " attention every worker takes equally many of them"
        )


def check_workers(placement: TrainingPlacement, settings: TrainingSettings) -> None:
    """Raise `WorldError` unless all workers get equal shares of each global batch."""
    world = _World(
        max(placement.workers, 1),
        placement.sequence_parallel,
        placement.micro_rows,
        settings.rows_per_step,
        settings.model.kv_heads,
    )
    try:
        check_groups(world.group, workers=world.workers, kv_heads=world.kv_heads)
        world.check_rows(settings.tokens_per_step)
    except WorldError as error:
        raise type(error)(f"{error}. {world.advice()}") from None
    within = placement.partition_within
    if within and world.workers % within:
        near = _nearest(within, _divisors(world.workers))
        raise WorldError(
            f"partition_within = {within} does not divide the workers, {world.workers:,}: use"
            f" {' or '.join(map(str, near))}, or 0 for no second partition"
        )
    _check_elastic(placement)


def _check_elastic(placement: TrainingPlacement) -> None:
    """Raise `WorldError` unless the smaller worlds that the placement allows can be."""
    least = placement.min_workers
    if not 0 <= least <= placement.workers:
        raise WorldError(
            f"min_workers = {least}; allowed: 0 (wait for all) to workers = {placement.workers:,}"
        )
    for name in ("sequence_parallel", "partition_within"):
        if least and getattr(placement, name) > 1:
            raise WorldError(
                f"min_workers = {least:,} with {name} = {getattr(placement, name)}: a world that"
                " loses single workers cannot keep its groups; use min_workers = 0"
            )


@dataclass(frozen=True, slots=True)
class _World:
    workers: int
    group: int  # sequence_parallel
    micro: int
    rows: int
    kv_heads: int

    def share(self) -> int:
        """Return how many rows all workers take at a time."""
        return self.workers // self.group * self.micro

    def check_rows(self, tokens: int) -> None:
        """Raise `WorldError` unless a step of so many tokens is so many shares."""
        if self.rows % self.share():
            raise WorldError(
                f"{self.workers:,} workers cannot share a step of rows_per_step = {self.rows:,}"
                f" ({tokens / 1e6:,.3g} M tokens): with sequence_parallel = {self.group} and"
                f" micro_rows = {self.micro} they take {self.share():,} rows at a time"
            )

    def fits(self) -> bool:
        """Whether nothing is wrong."""
        whole = self.workers % self.group == 0 and self.kv_heads % self.group == 0
        return whole and self.share() > 0 and self.rows % self.share() == 0

    def advice(self) -> str:
        """Name the nearest values of each setting that work when it alone is changed."""
        rows = [self.share() * k for k in (self.rows // max(self.share(), 1) + i for i in (0, 1))]
        tried = {
            "workers": [
                replace(self, workers=n * self.group) for n in _divisors(self.rows // self.micro)
            ],
            "sequence_parallel": [replace(self, group=n) for n in _divisors(self.kv_heads)],
            "micro_rows": [replace(self, micro=n) for n in _divisors(self.rows)],
            "rows_per_step": [replace(self, rows=n) for n in rows if n],
        }
        field = {"workers": "workers", "sequence_parallel": "group", "micro_rows": "micro"}
        found = []
        for name, worlds in tried.items():
            at = field.get(name, "rows")
            values = [getattr(world, at) for world in worlds if world.fits()]
            if near := _nearest(getattr(self, at), values):
                found.append(f"{name} = {' or '.join(f'{value:,}' for value in near)}")
        if not found:
            return "No change of one setting alone works"
        note = " (the last changes the result)" if found[-1].startswith("rows") else ""
        return f"What works, one change alone: {'; '.join(found)}{note}"


def _divisors(number: int) -> list[int]:
    low = [n for n in range(1, int(number**0.5) + 1) if number % n == 0]
    return sorted({*low, *(number // n for n in low)})


def _nearest(value: int, candidates: Iterable[int]) -> list[int]:
    """Return the nearest candidates below and above ``value``."""
    below = [c for c in candidates if c < value]
    above = [c for c in candidates if c > value]
    return [*([max(below)] if below else []), *([min(above)] if above else [])]
