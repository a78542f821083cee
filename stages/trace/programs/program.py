"""A generated program, and the family that it is of."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from stages.trace.programs.bounds import Bounds

ENTRY = "f"
"""The function that is called, in every family."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program: its source, the function to call and the source of the argument list."""

    name: str
    source: str
    entry: str
    arguments: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Programs of one kind, from easy (difficulty 0) to hard (1).

    ``write`` returns the source of a program, whose entry is `ENTRY`, and its argument list. All
    of its choices come from the generator that it is given. Every program ends by construction:
    within `FRAMES` frames, at any difficulty.
    """

    name: str
    write: Callable[[random.Random, float], tuple[str, str]]
    bounds: Bounds
    outcomes: frozenset[str] = frozenset({"return"})
    """How a program may end and be kept."""


FRAMES = 400
"""Frames of a program's trace are at most so many: the stage's default budget."""


def between(low: int, high: int, difficulty: float) -> int:
    """Return the whole number that lies at ``difficulty`` (0 to 1) from ``low`` to ``high``."""
    return low + round(difficulty * (high - low))
