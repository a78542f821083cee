"""Five things that change places, step by step: what state tracking is measured with.

The number of steps is 96 times the difficulty, at least one. Three ways of writing the same: named
slots and one statement per step, a loop over a list of steps, and a helper that swaps.

    def f(a, b, c, d, e):
        a, c = c, a
        b, d, e = d, e, b
        return [a, b, c, d, e]
"""

from __future__ import annotations

import random
from typing import Any

from stages.trace.programs.bounds import Bounds
from stages.trace.programs.program import Family

STEPS = 96
_SLOTS = 5
_NAMES = ("abcde", "pqrst", "vwxyz", "jkmnu")
_ITEMS: tuple[list[Any], ...] = (
    [1, 2, 3, 4, 5],
    list("abcde"),
    list("klmno"),
    [10, 20, 30, 40, 50],
)
_PER_LINE = 8  # steps in one line of the list


def _write(rng: random.Random, difficulty: float) -> tuple[str, str]:
    steps = max(1, round(STEPS * difficulty))
    items = rng.sample(rng.choice(_ITEMS), _SLOTS)
    way = rng.choice((_named, _looped, _helped))
    return way(rng, steps, items)


def _cycle(rng: random.Random) -> list[int]:
    """Draw two or more slots; what is in the second goes to the first, and so on around."""
    return rng.sample(range(_SLOTS), 2 if rng.random() < 0.6 else rng.randint(2, _SLOTS))


def _named(rng: random.Random, steps: int, items: list[Any]) -> tuple[str, str]:
    names = rng.choice(_NAMES)
    lines = [f"def f({', '.join(names)}):"]
    for _ in range(steps):
        cycle = [names[place] for place in _cycle(rng)]
        lines.append(f"    {', '.join(cycle)} = {', '.join([*cycle[1:], cycle[0]])}")
    lines.append(f"    return [{', '.join(names)}]")
    return "\n".join([*lines, ""]), ", ".join(map(repr, items))


def _looped(rng: random.Random, steps: int, items: list[Any]) -> tuple[str, str]:
    swaps = [f"({i}, {j})," for i, j in (rng.sample(range(_SLOTS), 2) for _ in range(steps))]
    rows = [" ".join(swaps[at : at + _PER_LINE]) for at in range(0, steps, _PER_LINE)]
    s, i, j = rng.choice(("sij", "xab", "wpq"))
    lines = [
        "SWAPS = [",
        *(f"    {row}" for row in rows),
        "]",
        "",
        "",
        f"def f({s}):",
        f"    for {i}, {j} in SWAPS:",
        f"        {s}[{i}], {s}[{j}] = {s}[{j}], {s}[{i}]",
        f"    return {s}",
        "",
    ]
    return "\n".join(lines), repr(items)


def _helped(rng: random.Random, steps: int, items: list[Any]) -> tuple[str, str]:
    s = rng.choice("sxw")
    lines = ["def swap(s, i, j):", "    s[i], s[j] = s[j], s[i]", "", ""]
    lines.append(f"def f({s}):")
    for _ in range(steps):
        i, j = rng.sample(range(_SLOTS), 2)
        lines.append(f"    swap({s}, {i}, {j})")
    return "\n".join([*lines, f"    return {s}", ""]), repr(items)


FAMILY = Family(name="permutation", write=_write, bounds=Bounds(integer=100, text=8, items=5))
