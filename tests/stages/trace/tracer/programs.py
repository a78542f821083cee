"""Programs of any shape, for both engines to trace: statements that a few choices put together.

`any_program` asks ``choose(n)`` for a number below n, again and again. Hypothesis gives such
numbers where it is installed, `random.Random` elsewhere: the programs are of one kind everywhere.
Each ends by itself, traced or not: a ``return`` in a ``finally`` may swallow the end of a trace.
"""

from __future__ import annotations

import random
from collections.abc import Callable

Choose = Callable[[int], int]

_SIMPLE = [
    ["x += 1"],
    ["y = [x] * 3"],
    ["y = {'k': y, 1: x}"],
    ["z = (y, 'text')"],
    ["raise ValueError(x)"],
    ["x = next(g)"],
    ["x, y = y, x"],
    ["del z"],
    ["f = lambda: x"],
    ["return x"],
    ["x = f()"],
    ["x = yield x"],
    ["y.append(z)"],
    ["import math as m"],
    ["pass"],
    ["y = [q for q in range(x % 4)]"],
    ["y = {q: [r for r in range(q)] for q in range(x % 3)}"],
    ["x = sum(v for v in g)"],
    ["y = {v for v in (x, 1, x) if v}"],
    ["z = [(a := q) for q in range(3) if q != x]"],
    ["x = f(", "    1,", "    *[],", ")"],
    ["y = (1 if x", "     else 2)"],
    ["assert x"],
    ["x = yield from (q for q in (1, 2))"],
    ["h = make(x)", "next(h, None)", "x = h.send(2)", "h.close()"],
    ["h = make(x)", "next(h)", "h.throw(KeyError(x))"],
    ["h = make(3); next(h); del h"],
    ["c = C(x)", "c.x = c.add(1)", "x = c.x"],
    ["x = C(1).twice"],
    ["def bump(by=1):", "    nonlocal y", "    y = by", "    return y", "x = bump()"],
    ["z = sorted([3, x], key=lambda v: -v)"],
    ["x = down(2)"],
    ["match x:", "    case int() if x > 3:", "        y = 1", "    case _:", "        y = 2"],
    ["try: x = 1 // 0", "except ZeroDivisionError as e: x = e.args"],
    ["z = (lambda *a, **k: (a, k))(x, k=y)"],
]
_COMPOUND: list[list[str]] = [
    ["for i in range(2):", "BODY"],
    ["for i in g:", "BODY", "else:", "    x = 5"],
    ["for i in range(3):", "    if i == x % 3:", "        break", "BODY"],
    ["while next(TURNS, 0):", "    x += 1", "BODY"],
    ["if x:", "BODY", "else:", "BODY"],
    ["try:", "BODY", "except Exception as e:", "BODY", "finally:", "BODY"],
    ["try:", "BODY", "finally:", "BODY"],
    ["try:", "BODY", "except (ValueError, KeyError):", "    raise", "except Exception:", "BODY"],
    ["try:", "BODY", "except* ValueError as e:", "BODY"],
    ["with suppress(Exception):", "BODY"],
    ["with Manager() as w, suppress(KeyError):", "BODY"],
    ["def f(x=x):", "BODY"],
    ["def f(x=x, *rest, y=3, **more):", "BODY", "x = f()"],
    ["@again", "def f(x=x):", "BODY"],
    ["class K:", "    x = 1", "BODY"],
    ["async def co(x=x, y=3):", "    await Pause()", "BODY", "x = drive(co())"],
    ["async def ag(x=x):", "    yield x", "BODY", "x = drive(collect(ag()))"],
    ["def gen(x=x, y=2):", "    yield x", "BODY", "for v in gen():", "    z = v"],
]

_AROUND = """\
from contextlib import suppress

TURNS = iter(range(1, 9))

class Manager:
    def __enter__(self):
        return self
    def __exit__(self, kind, error, where):
        return kind is KeyError

class Pause:
    def __await__(self):
        yield 1
        return 2

class C:
    def __init__(self, x):
        self.x = x
    def add(self, by):
        return by
    @property
    def twice(self):
        return [self, self.x]

def again(f):
    def wrapped(*a):
        return f(*a)
    return wrapped

def drive(co):
    with suppress(StopIteration):
        for turn in range(4):
            value = co.send(None)
        return value

async def collect(many):
    return [n async for n in many]

def down(n):
    return n if n <= 0 else down(n - 1)

def make(n):
    try:
        while n < 5:
            n = (yield n) or n + 1
    finally:
        left = True

def count():
    for n in (1, 2, 3):
        yield n

def run(x, g):
    y = z = 0
    f = lambda *a: a
BODY
    return y

def main():
    g = count()
    found = run(3, g)
    return list(found) if hasattr(found, "send") else found
"""


def any_program(choose: Choose) -> str:
    """Return the source of a program; it need not compile."""
    return "\n".join(_fill(_AROUND.split("\n"), choose, 3))


def _fill(lines: list[str], choose: Choose, depth: int) -> list[str]:
    """Put blocks for BODY, each with the indentation of a body."""
    return [
        out
        for line in lines
        for out in ([f"    {each}" for each in _block(choose, depth)] if line == "BODY" else [line])
    ]


def _block(choose: Choose, depth: int) -> list[str]:
    lines = []
    for _ in range(1 + choose(3)):
        if depth and choose(2):
            lines += _fill(_COMPOUND[choose(len(_COMPOUND))], choose, depth - 1)
        else:
            lines += _SIMPLE[choose(len(_SIMPLE))]
    return lines


def compiles(source: str) -> bool:
    """Say whether a program can be run at all: a ``return`` may stand in a class body."""
    try:
        compile(source, "x", "exec")
    except SyntaxError:
        return False
    return True


def seeded_program(seed: int) -> str:
    """Return the program of a seed, one that compiles."""
    rng = random.Random(seed)
    while not compiles(source := any_program(rng.randrange)):
        pass
    return source
