"""Functions made by functions, which keep their variables: 2 to 14 calls of them.

def counter(start):
    def step(k):
        nonlocal start
        start += k
        return start
    return step

def f(a):
    g = counter(a)
    g(2)
    return g(1)
"""

from __future__ import annotations

import random
from collections.abc import Callable

from stages.trace.programs.bounds import Bounds
from stages.trace.programs.program import Family, between

_NAMES = ("g", "h", "p", "q")


def _write(rng: random.Random, difficulty: float) -> tuple[str, str]:
    kinds = rng.sample(_KINDS, between(1, 3, difficulty))
    makers = [f"make{place + 1}" for place in range(len(kinds))]
    sources = [kind(rng, maker) for kind, maker in zip(kinds, makers, strict=True)]
    count = between(2, 14, difficulty)
    lines = ["def f(a):"]
    functions = _NAMES[: max(len(makers), rng.randint(1, min(count, 4)))]
    for place, name in enumerate(functions):
        given = rng.choice(("a", str(rng.randint(1, 9))))
        lines.append(f"    {name} = {makers[place % len(makers)]}({given})")
    shown: list[str] = []
    for call in range(count):
        name = rng.choice(functions)
        given = rng.choice([str(rng.randint(0, 9)), *shown[-2:]])
        if rng.random() < 0.35 or call == count - 1:
            shown.append(f"r{len(shown) + 1}")
            lines.append(f"    {shown[-1]} = {name}({given})")
        elif rng.random() < 0.25 and len(functions) > 1:
            lines.append(f"    {name}({rng.choice(functions)}({given}))")
        else:
            lines.append(f"    {name}({given})")
    lines += [f"    return [{', '.join(shown[-3:])}]", ""]
    return "\n\n\n".join([*sources, "\n".join(lines)]), str(rng.randint(0, 9))


def _inner(rng: random.Random) -> str:
    return rng.choice(("step", "inner", "run"))


def _counter(rng: random.Random, maker: str) -> str:
    """A number that every call changes."""
    step, change = _inner(rng), rng.choice(("n += k", "n -= k", "n = k - n", "n = max(n, k)"))
    result = rng.choice(("n", "n * 2", "n - k"))
    return (
        f"def {maker}(n):\n    def {step}(k):\n        nonlocal n\n        {change}\n"
        f"        return {result}\n\n    return {step}"
    )


def _memory(rng: random.Random, maker: str) -> str:
    """A list that every call adds to."""
    step, result = _inner(rng), rng.choice(("len(seen)", "sum(seen)", "seen[0]", "max(seen)"))
    test = rng.choice(("if k not in seen:\n            ", "if k % 2:\n            ", ""))
    return (
        f"def {maker}(n):\n    seen = [n]\n\n    def {step}(k):\n        {test}seen.append(k)\n"
        f"        return {result}\n\n    return {step}"
    )


def _adder(rng: random.Random, maker: str) -> str:
    """A function of two numbers, of which one is kept; a lambda, or a function with a name."""
    right = rng.choice(("k + n", "k - n", "n - k * 2", "min(k, n)", "k % (n + 1)"))
    if rng.random() < 0.5:
        return f"def {maker}(n):\n    return lambda k: {right}"
    step = _inner(rng)
    return f"def {maker}(n):\n    def {step}(k):\n        return {right}\n\n    return {step}"


def _toggle(rng: random.Random, maker: str) -> str:
    """A switch: every other call does something else."""
    step, first, second = _inner(rng), rng.randint(1, 4), rng.choice(("-k", "n", "0"))
    return (
        f"def {maker}(n):\n    on = False\n\n    def {step}(k):\n        nonlocal on\n"
        f"        on = not on\n        return k + {first} if on else {second}\n\n    return {step}"
    )


def _twice(rng: random.Random, maker: str) -> str:
    """A function put together of another, again and again."""
    step, times = _inner(rng), rng.randint(2, 3)
    right = rng.choice(("x + n", "x - n", "n - x", "x * 2 % 17"))
    return (
        f"def {maker}(n):\n    def {step}(x):\n        return {right}\n\n"
        f"    def again(k):\n        for _ in range({times}):\n            k = {step}(k)\n"
        f"        return k\n\n    return again"
    )


_KINDS: tuple[Callable[[random.Random, str], str], ...] = (
    _counter,
    _memory,
    _adder,
    _toggle,
    _twice,
)

FAMILY = Family(
    name="closures",
    write=_write,
    bounds=Bounds(integer=10_000, text=24, items=20, opaque=60),
)
