"""Generators, and who asks them for more: 2 to 12 values, through 1 to 3 generators.

def count(n):
    while n > 0:
        yield n
        n -= 2

def f(n):
    r = []
    for x in count(n):
        r.append(x)
    return r
"""

from __future__ import annotations

import random

from stages.trace.programs.bounds import Bounds
from stages.trace.programs.program import Family, between


def _write(rng: random.Random, difficulty: float) -> tuple[str, str]:
    length = between(2, 12, difficulty)
    stages = between(1, 3, difficulty)
    source, call = _first(rng, length)
    sources = [source]
    for place in range(1, stages):
        more, call = _next(rng, f"step{place}", call)
        sources.append(more)
    body = ["def f(n, xs):", *_consumer(rng, call), ""]
    items = [rng.randint(0, 9) for _ in range(length)]
    return "\n\n".join([*sources, "\n".join(body)]), f"{length}, {items}"


def _first(rng: random.Random, length: int) -> tuple[str, str]:
    """Return the source of a generator that makes values, and a call of it."""
    k = rng.randint(1, 5)
    name = rng.choice(("count", "values", "make"))
    put = rng.choice((f"i + {k}", f"i * {k + 1}", f"i % {k + 1}", f"{k * 3} - i"))
    ways = (
        (f"    for i in range(n):\n        yield {put}\n", "n"),
        (f"    while n > 0:\n        yield n\n        n -= {k}\n", "n"),
        (
            f"    a = b = {k}\n    for _ in range(n):\n        yield a\n        a, b = b, a + b\n",
            "n",
        ),
        (f"    for i in n:\n        if i % {k + 1}:\n            yield i\n", "xs"),
        (f"    for i in n:\n        yield i + {k}\n    yield -1\n", "xs"),
        (f"    for i, x in enumerate(n):\n        yield i * x + {k}\n", "xs"),
        (
            f"    if n:\n        yield n[0]\n        yield from {name}(n[1:])\n",
            f"xs[:{length // 2 + 1}]",
        ),
    )
    body, given = rng.choice(ways)
    return f"def {name}(n):\n{body}", f"{name}({given})"


def _next(rng: random.Random, name: str, call: str) -> tuple[str, str]:
    """Return the source of a generator over another's values, and a call of it."""
    k = rng.randint(2, 7)
    body = rng.choice(
        (
            f"    for x in it:\n        if x % {k}:\n            yield x\n",
            f"    for x in it:\n        yield x * {k}\n",
            f"    last = {k}\n    for x in it:\n        yield x - last\n        last = x\n",
            f"    total = {k}\n    for x in it:\n        total += x\n        yield total\n",
            f"    for x in it:\n        yield x if x > {k} else {k} - x\n",
            f"    for i, x in enumerate(it):\n        if i % {k}:\n            yield x\n",
            f"    for x in it:\n        if x > {3 * k}:\n            return\n        yield x\n",
            f"    yield {k}\n    yield from it\n",
        )
    )
    return f"def {name}(it):\n{body}", f"{name}({call})"


def _consumer(rng: random.Random, call: str) -> list[str]:
    """Return the entry's body: how the values are asked for."""
    some = [f"    r.append(next(it, {-at}))" for at in range(1, rng.randint(2, 5))]
    limit, sign = rng.randint(3, 12), rng.choice("+-")
    ways = (
        ["    r = []", f"    for x in {call}:", "        r.append(x)", "    return r"],
        [f"    r = {limit}", f"    for x in {call}:", f"        r {sign}= x", "    return r"],
        [f"    return {rng.choice(('list', 'sum', 'tuple', 'sorted'))}({call})"],
        ["    r = []", f"    it = {call}", *some, "    return r + list(it)"],
        [
            "    r = 0",
            f"    for x in {call}:",
            f"        if r > {limit}:",
            "            break",
            "        r += x",
            "    return r",
        ],
        [
            f"    it = {call}",
            "    r = next(it, 0)",
            "    for x in it:",
            "        r = max(r, x)",
            "    return r",
        ],
    )
    return list(rng.choice(ways))


FAMILY = Family(
    name="generators",
    write=_write,
    bounds=Bounds(integer=10_000, text=24, items=20, opaque=60),
)
