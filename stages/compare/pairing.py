"""Items of two arms on the same questions, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.compare.settings import Contrast
from stages.probe.item import Item

Floats = NDArray[np.float64]
Probes = Mapping[str, Mapping[str, Iterable[Item]]]
"""seed → arm → what that arm's checkpoint answered."""


class PairingError(ValueError):
    """Arms cannot be paired; says which seed and what is missing."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One side of a contrast: float arrays [seeds, questions]; an absent question has size 0."""

    amount: Floats
    size: Floats

    def means(self) -> Floats:
        """Return the mean of each seed: the sum of amounts over that of sizes [seeds]."""
        return self.amount.sum(1) / self.size.sum(1)


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides of a contrast on the questions that all seeds of both answered."""

    seeds: tuple[str, ...]
    questions: tuple[str, ...]
    arm: Measured
    against: Measured

    def differences(self) -> Floats:
        """Return each seed's difference of means [seeds]."""
        return self.arm.means() - self.against.means()


def pair(contrast: Contrast, probes: Probes) -> Pair:
    """Return the items that ``contrast`` is about.

    Raises `PairingError` when a seed lacks an arm or no question is shared.
    """
    sides = []
    for arm, measure in (
        (contrast.arm, contrast.measure),
        (contrast.against_arm, contrast.against_measure or contrast.measure),
    ):
        rows = []
        for seed, arms in probes.items():
            if arm not in arms:
                raise PairingError(f"seed {seed} has no arm {arm!r}; it has {sorted(arms)}")
            rows.append(_chosen(arms[arm], measure, contrast.tag))
        sides.append(rows)
    shared = set.intersection(*(set(row) for rows in sides for row in rows))
    if not shared:
        raise PairingError(f"{contrast.label}: no question was asked in all arms and seeds")
    questions = tuple(sorted(shared))
    first, second = (_arrays(rows, questions) for rows in sides)
    return Pair(tuple(probes), questions, first, second)


def _chosen(items: Iterable[Item], measure: str, tag: str) -> dict[str, Item]:
    return {
        item.key: item
        for item in items
        if item.measure == measure and (not tag or tag in item.tags)
    }


def _arrays(rows: list[dict[str, Item]], questions: tuple[str, ...]) -> Measured:
    return Measured(
        np.array([[row[key].amount for key in questions] for row in rows]),
        np.array([[row[key].size for key in questions] for row in rows]),
    )
