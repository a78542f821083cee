"""Exceptions: raised, caught, passed on, with ``else`` and ``finally``; 1 to 6 attempts.

About a fifth of the programs end in one that nobody catches.

    def check(n):
        if n > 3:
            raise ValueError(f'{n} is too much')
        return n + 1

    def f(n):
        try:
            r = check(n)
        except ValueError as error:
            r = str(error)
        return r
"""

from __future__ import annotations

import random

from stages.trace.programs.bounds import Bounds
from stages.trace.programs.program import Family, between

_KINDS = ("ValueError", "KeyError", "TypeError", "Refused")
_BASES = {"ValueError": "Exception", "KeyError": "LookupError", "TypeError": "Exception"}
_UNCAUGHT = 0.15
_OWN = "class Refused(Exception):\n    pass\n\n\n"


def _write(rng: random.Random, difficulty: float) -> tuple[str, str]:
    kinds = rng.sample(_KINDS, between(1, 3, difficulty))
    helpers = [_helper(rng, f"check{place + 1}", kind) for place, kind in enumerate(kinds)]
    lines = ["    r = 0\n"]
    for _ in range(between(1, 6, difficulty)):
        place = rng.randrange(len(kinds))
        lines.append(_attempt(rng, f"check{place + 1}", kinds[place], difficulty))
    if rng.random() < _UNCAUGHT:
        lines.append(_last(rng, kinds[0]))
    own = _OWN if "Refused" in kinds else ""
    body = f"def f(n, xs):\n{''.join(lines)}    return r\n"
    items = [rng.randint(0, 9) for _ in range(between(2, 5, difficulty))]
    return own + "".join(helpers) + body, f"{rng.randint(0, 9)}, {items}"


def _helper(rng: random.Random, name: str, kind: str) -> str:
    limit = rng.randint(2, 7)
    test = rng.choice((f"n > {limit}", f"n < {limit}", f"n % {rng.randint(2, 3)} == 0"))
    said = rng.choice(("n", "'no'", "f'bad {n}'"))
    result = rng.choice(("n + 1", "n * 2", "10 - n"))
    before = f"    n -= {rng.randint(1, 3)}\n" if rng.random() < 0.3 else ""
    return (
        f"def {name}(n):\n{before}    if {test}:\n        raise {kind}({said})\n"
        f"    return {result}\n\n\n"
    )


def _attempt(rng: random.Random, check: str, kind: str, difficulty: float) -> str:
    """Write one attempt, which catches what its check may raise."""
    n = rng.choice(("n", f"n + {rng.randint(1, 4)}", f"{rng.randint(0, 9)}", "xs[0]", "r % 10"))
    caught = rng.choice((kind, kind, _BASES.get(kind, "Exception"), f"({kind}, IndexError)"))
    way = rng.random()
    if way < 0.3 and difficulty > 0.2:
        return _over(rng, check, caught)
    if way < 0.5 and difficulty > 0.4:
        return _passed_on(rng, check, kind, n)
    lines = ["    try:", f"        r += {check}({n})"]
    if rng.random() < 0.5:
        lines += [f"    except {caught}:", f"        r = {rng.choice(('-1', 'r - 1', '0'))}"]
    else:
        lines += [f"    except {caught} as error:", "        r += len(str(error))"]
    if rng.random() < 0.4:
        lines += ["    else:", f"        r += {rng.randint(1, 5)}"]
    if rng.random() < 0.4:
        lines += ["    finally:", f"        n {rng.choice('+-')}= 1"]
    return "\n".join([*lines, ""])


def _over(rng: random.Random, check: str, caught: str) -> str:
    """Try each of some items; the loop goes on, or is left."""
    then = rng.choice(("r -= 1", "continue", "break", "x = 0"))
    return (
        f"    for x in xs:\n        try:\n            r += {check}(x)\n"
        f"        except {caught}:\n            {then}\n"
    )


def _passed_on(rng: random.Random, check: str, kind: str, n: str) -> str:
    """Catch what is raised within, and pass it or another on to the outer ``try``."""
    again = rng.choice(("raise", "raise RuntimeError('again') from error"))
    outer = kind if again == "raise" else "RuntimeError"
    return (
        f"    try:\n        try:\n            r += {check}({n})\n"
        f"        except {kind} as error:\n            r += 1\n            {again}\n"
        f"        finally:\n            r += {rng.randint(2, 5)}\n"
        f"    except {outer}:\n        r *= 2\n"
    )


def _last(rng: random.Random, kind: str) -> str:
    """Raise what nobody catches."""
    word = "".join(rng.choices("abc", k=2))
    return rng.choice(
        (
            f"    if r > {rng.randint(-9, 0)}:\n        raise {kind}(r)\n",
            "    r = 10 // (n - n)\n",
            f"    r = xs[len(xs) + {rng.randint(0, 3)}]\n",
            f"    r = {{{word!r}: n}}['x']\n",
            f"    r = int({word!r})\n",
            f"    try:\n        raise {kind}(n)\n    finally:\n        r = {rng.randint(0, 9)}\n",
        )
    )


FAMILY = Family(
    name="exceptions",
    write=_write,
    bounds=Bounds(integer=10_000, text=40, opaque=60),
    outcomes=frozenset({"return", "exception"}),
)
