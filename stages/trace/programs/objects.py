"""Classes with a few methods, and objects whose attributes change: 2 to 16 calls of methods.

From the middle on, some classes have one below them that changes a method.

    class Box:
        def __init__(self, n):
            self.n = n

        def add(self, k):
            self.n += k
            return self

    def f(a):
        box = Box(a)
        box.add(3)
        return box.n
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from stages.trace.programs.bounds import Bounds
from stages.trace.programs.program import Family, between

_CLASSES = ("Box", "Cart", "Lamp", "Tank", "Pile")
_BELOW = ("Big", "Odd", "Safe")


@dataclass(frozen=True, slots=True)
class _Method:
    """A method: its parameter ("" for none), its lines, and what it is called with."""

    name: str
    parameter: str
    lines: tuple[str, ...]

    @property
    def source(self) -> list[str]:
        given = f"self, {self.parameter}" if self.parameter else "self"
        return [f"    def {self.name}({given}):", *(f"        {line}" for line in self.lines), ""]

    def call(self, rng: random.Random) -> str:
        return f"{self.name}({rng.randint(1, 6) if self.parameter else ''})"


def _write(rng: random.Random, difficulty: float) -> tuple[str, str]:
    name = rng.choice(_CLASSES)
    change, *others = _methods(rng)
    methods = [change, *rng.sample(others, between(1, 4, difficulty))]
    source = [f"class {name}:", "    def __init__(self, n):", "        self.n = n"]
    source += ["        self.items = []", ""]
    for method in methods:
        source += method.source
    used = [name]
    if difficulty >= 0.4 and rng.random() < 0.6:
        below = rng.choice(_BELOW) + name
        source += ["", *_below(rng, below, name, rng.choice(methods))]
        used.append(below)
    lines = _calls(rng, methods, used, between(2, 16, difficulty))
    source += ["", f"def f({', '.join('ab'[: len(used)])}):", *lines, ""]
    arguments = [str(rng.randint(0, 9)) for _ in used]
    return "\n".join(source), ", ".join(arguments)


def _methods(rng: random.Random) -> list[_Method]:
    """Return what objects can do, in this program's numbers; the first changes something."""
    k = rng.randint(2, 5)
    sign = rng.choice("+-")
    limit = rng.randint(8, 20)
    changes = [
        _Method("add", "k", (f"self.n {sign}= k",)),
        _Method("keep", "k", (f"if k % {k}:", "    self.items.append(k)", "self.n += 1")),
        _Method("grow", "", (f"self.n = (self.n * {k} + 1) % {limit}", "return self.n")),
    ]
    rng.shuffle(changes)
    return [
        *changes,
        _Method("put", "k", ("self.items.append(k)", "return len(self.items)")),
        _Method("take", "", ("if not self.items:", "    return 0", "return self.items.pop()")),
        _Method("reset", "", ("old = self.n", "self.n = 0", "return old")),
        _Method("full", "", (f"return self.n > {limit // 2}",)),
        _Method("total", "", ("return self.n + sum(self.items)",)),
        _Method("clamp", "k", ("self.n = min(self.n, k)", "return self.n")),
    ]


def _below(rng: random.Random, below: str, name: str, method: _Method) -> list[str]:
    """Return a class below ``name`` in which one method does more, or something else."""
    given = method.parameter
    again = f"super().{method.name}({given})"
    ways = (
        ("self.n += 1", f"return {again}"),
        (f"result = {again}", "self.items.append(self.n)", "return result"),
        ("self.n -= 1", "return self.n"),
    )
    changed = _Method(method.name, given, rng.choice(ways))
    return [f"class {below}({name}):", *changed.source]


def _calls(rng: random.Random, methods: list[_Method], classes: list[str], count: int) -> list[str]:
    """Return the body of the entry: objects, calls of their methods, and what they came to."""
    objects = [f"{name.lower()}" for name in classes]
    lines = [
        f"    {each} = {name}({argument})"
        for each, name, argument in zip(objects, classes, "ab", strict=False)
    ]
    results = 0
    for _ in range(count):
        each = rng.choice(objects)
        call = f"{each}.{rng.choice(methods).call(rng)}"
        if rng.random() < 0.3:
            results += 1
            call = f"r{results} = {call}"
        lines.append(f"    {call}")
    shown = [f"{each}.{part}" for each in objects for part in ("n", "items")]
    shown = rng.sample(shown, rng.randint(1, 2)) + [f"r{at + 1}" for at in range(min(results, 2))]
    return [*lines, f"    return [{', '.join(shown)}]"]


FAMILY = Family(
    name="objects",
    write=_write,
    bounds=Bounds(integer=1_000, text=24, items=20, opaque=78),
)
