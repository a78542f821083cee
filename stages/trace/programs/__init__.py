"""Generated programs, each a pure function of a seed, what is asked for, and an index.

Five levels, 0 to 4, are what a tiny model learns from (`levels`). Beyond them there are families,
each with a difficulty from 0 to 1:

    straight      more statements                    exceptions  raise, try, except, finally
    nesting       calls within calls                 objects     classes and their methods
    loops         longer, nested, left early         generators  yield, and who asks for more
    calls         helpers and recursion              closures    functions that keep variables
    containers    dicts, sets, tuples, strings       permutation five things that change places

Each has a file of that name; beside them:

    program.py   what a program and a family are
    levels.py    the five levels
    trial.py     statements, run as they are written
    bounds.py    how large values may become
    shape.py     what programs that differ in names alone share
    survey.py    what the programs of a family are like
    __main__.py  ``python -m stages.trace.programs``: that, and examples
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

from stages.trace.programs import (
    calls,
    closures,
    containers,
    exceptions,
    generators,
    loops,
    nesting,
    objects,
    permutation,
    straight,
)
from stages.trace.programs.levels import BOUNDS, LEVELS, generate
from stages.trace.programs.program import ENTRY, FRAMES, Family, Program
from stages.trace.programs.shape import shape

__all__ = [
    "FAMILIES",
    "FRAMES",
    "LEVEL",
    "LEVELS",
    "Family",
    "Program",
    "draw",
    "generate",
    "keeps",
    "shape",
]

LEVEL = "level"
"""The name under which `draw` knows the levels: their difficulty is the level."""

FAMILIES: Mapping[str, Family] = {
    module.FAMILY.name: module.FAMILY
    for module in (
        straight,
        nesting,
        loops,
        calls,
        containers,
        exceptions,
        objects,
        generators,
        closures,
        permutation,
    )
}
"""By name; a difficulty from 0 to 1 each."""


def draw(seed: int, family: str, difficulty: float, index: int) -> Program:
    """Write program ``index`` of a family at a difficulty, or of a level (family `LEVEL`).

    Raises ValueError when there is no such family, difficulty or level.
    """
    if family == LEVEL:
        return generate(seed, int(difficulty), index)
    if family not in FAMILIES or not 0 <= difficulty <= 1:
        known = ", ".join(FAMILIES)
        raise ValueError(f"{family} at {difficulty}: {known} are there, from 0 to 1")
    name = f"{family}:{float(difficulty):g}:{seed}:{index}"
    source, arguments = FAMILIES[family].write(random.Random(name), difficulty)
    return Program(name, source, ENTRY, arguments)


def keeps(family: str, outcome: str, frames: Iterable[Mapping[str, Any]]) -> bool:
    """Say whether a program's trace is as its family wants it: its ending, and small values.

    ``frames`` are rows of `stages.tables.FRAME`.
    """
    if family == LEVEL:
        return outcome == "return" and BOUNDS.hold(frames)
    return outcome in FAMILIES[family].outcomes and FAMILIES[family].bounds.hold(frames)
