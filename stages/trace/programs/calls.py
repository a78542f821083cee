"""Helper functions that call one another or themselves: recursion 2 to 12 deep, 1 to 4 functions.

def g(n):
    if n == 0:
        return 0
    return n + g(n - 1)

def f(n):
    return g(n) * 2
"""

from __future__ import annotations

import random
from collections.abc import Callable

from stages.trace.programs.bounds import Bounds
from stages.trace.programs.program import Family, between

_NAMES = ("g", "h", "p", "q")

Helper = tuple[str, str]
"""Source of a helper, and a call of it."""


def _write(rng: random.Random, difficulty: float) -> tuple[str, str]:
    depth = between(2, 12, difficulty)
    word = "".join(rng.choices("abcdef", k=min(depth, 10)))
    kinds = rng.sample(_KINDS, between(1, 4, difficulty))
    sources, lines = [], []
    for name, kind in zip(_NAMES, kinds, strict=False):
        source, call = kind(rng, name, depth)
        sources.append(source)
        lines.append(f"    {name}1 = {call}\n")
    results = [f"{name}1" for name, _ in zip(_NAMES, kinds, strict=False)]
    shown = results[0] if len(results) == 1 else f"({', '.join(results)})"
    body = f"def f(n, s):\n{''.join(lines)}    return {shown}\n"
    return "\n\n".join([*sources, body]), f"{depth}, {word!r}"


def _down(rng: random.Random, g: str, depth: int) -> Helper:
    """One step down at a time."""
    k, less = rng.randint(2, 9), rng.randint(1, 2)
    step = rng.choice(("n + {}", "{} - n", f"{{}} + {k}", f"max(n * {k}, {{}})", f"n * {k} - {{}}"))
    own = step.format(f"{g}(n - {less})")
    return f"def {g}(n):\n    if n <= 0:\n        return {rng.randint(0, 9)}\n    return {own}\n", (
        f"{g}(n)"
    )


def _text(rng: random.Random, g: str, depth: int) -> Helper:
    """A string, letter by letter."""
    rest = f"{g}(s[1:])"
    own = rng.choice((f"{rest} + s[0]", f"s[0].upper() + {rest}", f"'-' + {rest}"))
    if rng.random() < 0.5:
        own += f" if s[0] > {rng.choice('abcd')!r} else {rest}"
    return f"def {g}(s):\n    if not s:\n        return ''\n    return {own}\n", f"{g}(s)"


def _euclid(rng: random.Random, g: str, depth: int) -> Helper:
    """The greatest common divisor, or how long it takes."""
    small, large = 1, 2  # neighbours in Fibonacci's series take longest
    for _ in range(rng.randint(1, depth)):
        small, large = large, small + large
    end, own = rng.choice((("a", "{}"), ("0", "1 + {}"), ("[a]", "[a // b] + {}")))
    call = own.format(f"{g}(b, a % b)")
    k = rng.randint(1, 2)
    return f"def {g}(a, b):\n    if b == 0:\n        return {end}\n    return {call}\n", (
        f"{g}({large * k}, {small * k})"
    )


def _digits(rng: random.Random, g: str, depth: int) -> Helper:
    """A number, digit by digit."""
    base, most = rng.choice(((2, 12), (3, 8), (5, 5), (10, 4)))
    digits = rng.randint(2, max(2, min(depth, most)))
    number = rng.randrange(base ** (digits - 1), base**digits)
    own = rng.choice(("{} + [n % @]", "[n % @] + {}")).replace("@", str(base))
    call = own.format(f"{g}(n // {base})")
    return f"def {g}(n):\n    if n < {base}:\n        return [n]\n    return {call}\n", (
        f"{g}({number})"
    )


def _halves(rng: random.Random, g: str, depth: int) -> Helper:
    """A list in two halves, each by itself."""
    items = [rng.randint(0, 9) for _ in range(2 + depth // 2)]
    join = rng.choice(("{} + {}", "max({}, {})", "{} - {}"))
    own = join.format(f"{g}(xs[:k])", f"{g}(xs[k:])")
    source = f"def {g}(xs):\n    if len(xs) == 1:\n        return xs[0]\n    k = len(xs) // 2\n"
    return f"{source}    return {own}\n", f"{g}({items})"


def _two(rng: random.Random, g: str, depth: int) -> Helper:
    """Two calls of itself, as in Fibonacci's series."""
    n = min(2 + depth // 3, 5)
    sign, start = rng.choice("+-"), rng.choice(("n", "1", "n + 1"))
    own = f"{g}(n - 1) {sign} {g}(n - 2)"
    return f"def {g}(n):\n    if n < 2:\n        return {start}\n    return {own}\n", f"{g}({n})"


def _turns(rng: random.Random, g: str, depth: int) -> Helper:
    """Two functions that call each other in turn."""
    first, second = rng.choice((("True", "False"), ("'even'", "'odd'"), ("0", "1")))
    other = f"{g}_other"
    source = f"def {g}(n):\n    if n == 0:\n        return {first}\n    return {other}(n - 1)\n\n\n"
    source += f"def {other}(n):\n    if n == 0:\n        return {second}\n    return {g}(n - 1)\n"
    return source, f"{g}({rng.choice(('n', 'n - 1', 'len(s)'))})"


def _plain(rng: random.Random, g: str, depth: int) -> Helper:
    """No recursion: a helper that is called for each of some numbers, some by keyword."""
    k = rng.randint(2, 9)
    body = rng.choice((f"a * {k} + b", f"a - b + {k}", f"max(a, {k}) - b", f"(a + b) % {k}"))
    default = rng.randint(1, 5)
    calls = [
        rng.choice(
            (
                f"{g}({rng.randint(0, 9)})",
                f"{g}({rng.randint(0, 9)}, {rng.randint(0, 9)})",
                f"{g}(b={rng.randint(0, 9)}, a=n)",
            )
        )
        for _ in range(2 + depth // 3)
    ]
    source = f"def {g}(a, b={default}):\n    c = {body}\n    return c\n"
    return source, f"[{', '.join(calls)}]"


_KINDS: tuple[Callable[[random.Random, str, int], Helper], ...] = (
    _down,
    _text,
    _euclid,
    _digits,
    _halves,
    _two,
    _turns,
    _plain,
)

FAMILY = Family(name="calls", write=_write, bounds=Bounds(integer=10_000, text=24, items=20))
