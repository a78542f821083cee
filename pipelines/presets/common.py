"""What several presets share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from stages.trace.programs import FAMILIES
from stages.training.settings import MixEntry, MixGroup

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


def fine_tuning(mix: Sequence[MixEntry], groups: Sequence[MixGroup] = ()) -> dict[str, Any]:
    """Return the mix of SFT after a mid-training with ``mix`` and ``groups``.

    30 % rehearse that (§5.1). For the rest the paper has agents' successes, reasoning and plain
    answers, without their shares.
    """
    share = {group.name: group.weight for group in groups} or {"": 1.0}
    rehearsed: dict[str, MixEntry] = {}
    for entry in mix:
        weight = entry.weight * share[entry.group]
        weight += rehearsed[entry.dataset].weight if entry.dataset in rehearsed else 0.0
        rehearsed[entry.dataset] = replace(entry, group="rehearsal", weight=weight)
    return {
        "groups": (MixGroup(name="chats", weight=0.70), MixGroup(name="rehearsal", weight=0.30)),
        "mix": (
            # values, traces and repaired lines, answered directly
            MixEntry(group="chats", dataset="chats", weight=0.45, long="drop"),
            MixEntry(group="chats", dataset="reasoning", weight=0.30, long="drop"),
            MixEntry(group="chats", dataset="tool_use", weight=0.25, long="drop"),
            *rehearsed.values(),
        ),
    }
