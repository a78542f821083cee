"""What several presets share."""

from __future__ import annotations

from stages.trace.programs import FAMILIES

TRAINING = ("pretrain", "midtrain", "sft")
"""The steps that take a `TrainingPlacement`."""


def families(count: int) -> tuple[tuple[str, float, int], ...]:
    """Return ``count`` generated programs of each family at five difficulties; half as many
    permutations of each of four lengths besides, to measure by length."""
    programs = [
        (family, difficulty, count)
        for family in FAMILIES
        for difficulty in (0.1, 0.3, 0.5, 0.7, 0.9)
    ]
    programs += [("permutation", steps / 96, count // 2) for steps in (8, 16, 32, 64)]
    return tuple(programs)
