"""Calls within calls, which hide the values in between: from one to six deep.

Some of the programs say the same in steps, one variable for each value; a few of the calls are of
helpers in the program, which a trace steps into.

    def f(s):
        return s.replace('a', 'b')[::-1].upper() + s[1:]
"""

from __future__ import annotations

import ast
import random

from stages.trace.programs.bounds import Bounds
from stages.trace.programs.program import Family, between
from stages.trace.programs.trial import Trial

_BOUNDS = Bounds(integer=10_000, text=48)
_LETTERS = "abcde"
_HELPERS = {
    "twice": "def twice(s):\n    return s + s\n",
    "ends": "def ends(s):\n    return s[0] + s[-1]\n",
    "turn": "def turn(s):\n    return s[1:] + s[:1]\n",
    "wrap": "def wrap(s):\n    return '(' + s + ')'\n",
}


def _write(rng: random.Random, difficulty: float) -> tuple[str, str]:
    depth = between(1, 6, difficulty)
    helpers = rng.sample(sorted(_HELPERS), rng.randint(0, 2))
    above = "".join(_HELPERS[name] + "\n\n" for name in helpers)
    word = "".join(rng.choices(_LETTERS, k=rng.randint(3, 8)))
    name = rng.choice("stuw")
    trial = Trial(rng, _BOUNDS, {name: word}, above)
    in_steps = rng.random() < 0.3
    results = []
    for place in range(between(1, 3, difficulty)):
        result = f"{name}{place + 1}"
        _nested(trial, result, name, depth, helpers, in_steps)
        if result in trial.values:
            results.append(result)
    if len(results) == 1 and not in_steps:
        return trial.finish(_inlined(trial, results[0]))
    shown = [each if type(trial.values[each]) is str else f"str({each})" for each in results]
    return trial.finish(" + ".join(shown) or name)


def _nested(
    trial: Trial, result: str, name: str, depth: int, helpers: list[str], in_steps: bool
) -> None:
    """Write ``result``: ``depth`` operations on the string ``name``, in one go or in steps."""
    rng, inner = trial.rng, name
    kind: type = str
    lines = []
    for level in range(depth):
        last = level == depth - 1
        inner, kind = _around(rng, inner, kind, name, helpers, last)
        inner = ast.unparse(ast.parse(inner))  # without needless parentheses
        if in_steps:
            lines.append(f"{result} = {inner}")
            inner = result
    trial.take("\n".join(lines) if in_steps else f"{result} = {inner}")


def _around(
    rng: random.Random, inner: str, kind: type, name: str, helpers: list[str], last: bool
) -> tuple[str, type]:
    """Return an expression around another, and the type of its value."""
    a, b, n = rng.choice(_LETTERS), rng.choice("uvwxyz"), rng.randint(1, 4)
    if kind is int:
        sign = rng.choice("+-*")
        rights = (f"str({inner})", f"{name} * (({inner}) % 3)", f"chr(97 + ({inner}) % 26)")
        return (f"({inner}) {sign} {n}", int) if rng.random() < 0.3 else (rng.choice(rights), str)
    if rng.random() < (0.4 if last else 0.1):
        return rng.choice((f"len({inner})", f"({inner}).count({name}[0])")), int
    methods = [".upper()", "[::-1]", f"[{n}:]", f".replace({a!r}, {b!r})", ".title()"]
    methods += [f"[:{n + 3}]", ".swapcase()", f".strip({a!r})", f".rjust({n + 5}, {b!r})"]
    calls = [f"''.join({around}({{}}))" for around in ("sorted", "reversed")]
    calls += [f"{{}} + {b!r}", f"{b!r} + {{}}", f"{{}} + {name}[-1]"]
    calls += [f"{helper}({{}})" for helper in helpers for _ in range(3)]
    if rng.random() < 0.5:
        return f"({inner}){rng.choice(methods)}", str
    return rng.choice(calls).format(inner), str


def _inlined(trial: Trial, result: str) -> str:
    """Take the only statement back and return its right side: nothing but the call itself."""
    statement = trial.lines.pop()
    return statement.removeprefix(f"{result} = ")


FAMILY = Family(name="nesting", write=_write, bounds=_BOUNDS)
