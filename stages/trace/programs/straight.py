"""Many short statements on integers, strings and truth values: what grows is the length, from 3 to
40 statements.

    def f(a, b):
        c = a * 3 - b
        a += abs(c)
        ok = a > b
        q, r = divmod(a, 4)
        return (a, q, ok)
"""

from __future__ import annotations

import random

from stages.trace.programs.bounds import Bounds
from stages.trace.programs.program import Family, between
from stages.trace.programs.trial import Trial

_INTS = ("a", "b", "c", "d", "k", "m", "n", "p", "q", "x", "y", "z")
_STRS = ("s", "t", "u", "w")
_BOOLS = ("ok", "done", "flag")
_BOUNDS = Bounds()


def _write(rng: random.Random, difficulty: float) -> tuple[str, str]:
    arguments = {name: rng.randint(0, 20) for name in rng.sample(_INTS, 2)}
    word = {"s": "".join(rng.choices("abcdef", k=rng.randint(2, 5)))}
    trial = Trial(rng, _BOUNDS, arguments | (word if rng.random() < 0.5 else {}))
    kinds = [_sum, _sum, _change, _change, _call, _choice, _truth, _both, _division]
    for _ in range(between(3, 40, difficulty)):
        trial.draw([*kinds, _text, _text] if trial.names(str) else kinds)
    shown = trial.names(int) + trial.names(str) + trial.names(bool)
    last = rng.sample(shown, min(len(shown), 3))
    return trial.finish(last[0] if len(last) == 1 else f"({', '.join(last)})")


def _int(trial: Trial) -> str:
    return trial.rng.choice(trial.names(int))


def _operand(trial: Trial) -> str:
    return _int(trial) if trial.rng.random() < 0.6 else str(trial.rng.randint(1, 9))


def _sum(trial: Trial) -> str:
    sign, other = trial.rng.choice("+-*"), trial.rng.choice("+-")
    right = f"{_int(trial)} {sign} {_operand(trial)}"
    if trial.rng.random() < 0.4:
        right += f" {other} {_operand(trial)}"
    return f"{trial.name(int, _INTS)} = {right}"


def _change(trial: Trial) -> str:
    return f"{_int(trial)} {trial.rng.choice(('+', '-', '*', '//', '%'))}= {_operand(trial)}"


def _call(trial: Trial) -> str:
    a, b = _int(trial), _operand(trial)
    right = trial.rng.choice((f"max({a}, {b})", f"min({a}, {b})", f"abs({a})", f"abs({a} - {b})"))
    return f"{trial.name(int, _INTS)} = {right}"


def _choice(trial: Trial) -> str:
    a, b = _int(trial), _operand(trial)
    flags = trial.names(bool)
    test = trial.rng.choice([f"{a} > {b}", f"{a} % 2 == 0", *flags])
    return f"{trial.name(int, _INTS)} = {a} if {test} else {_operand(trial)}"


def _truth(trial: Trial) -> str:
    a, b, c = _int(trial), _operand(trial), _operand(trial)
    right = trial.rng.choice((f"{a} < {b}", f"{a} != {b}", f"{b} <= {a} < {c}", f"not {a} > {b}"))
    return f"{trial.name(bool, _BOOLS)} = {right}"


def _both(trial: Trial) -> str:
    a, b = trial.rng.sample(trial.names(int), 2)
    return trial.rng.choice((f"{a}, {b} = {b}, {a}", f"{a}, {b} = {b}, {a} + {b}"))


def _division(trial: Trial) -> str:
    q, r = trial.rng.sample(_INTS, 2)
    return f"{q}, {r} = divmod({_int(trial)}, {trial.rng.randint(2, 9)})"


def _text(trial: Trial) -> str:
    rng, s = trial.rng, trial.rng.choice(trial.names(str))
    if rng.random() < 0.25:
        return f"{trial.name(int, _INTS)} = {rng.choice((f'len({s})', f'{s}.count({s}[0])'))}"
    n = rng.randint(1, 3)
    letter = rng.choice("abcxyz")
    rights = (f"{s} + {letter!r}", f"{s}[::-1]", f"{s}[{n}:]", f"{s}[:{n}] * 2", f"{s}.upper()")
    more = (
        f"{s}.replace({s}[0], {letter!r})",
        f"{letter!r} + {s}[1:]",
        f"str({_int(trial)}) + {s}",
    )
    return f"{trial.name(str, _STRS)} = {rng.choice(rights + more)}"


FAMILY = Family(name="straight", write=_write, bounds=_BOUNDS)
