"""Dictionaries, sets, tuples, lists and strings, and their methods: 2 to 20 statements.

def f(xs, d):
    d['c'] = len(xs)
    seen = set(xs)
    xs.sort()
    a = d.pop('a', 0)
    return (sorted(d.items()), a)
"""

from __future__ import annotations

import random

from stages.trace.programs.bounds import Bounds
from stages.trace.programs.program import Family, between
from stages.trace.programs.trial import Trial

_BOUNDS = Bounds(integer=1_000, text=40, items=12, opaque=40)
_KEYS = "abcdef"
_FREE = {
    list: ("xs", "ys", "zs"),
    dict: ("d", "e"),
    set: ("seen", "other"),
    tuple: ("p", "q"),
    str: ("s", "t"),
    int: ("a", "b", "c", "n"),
}


def _write(rng: random.Random, difficulty: float) -> tuple[str, str]:
    arguments = {
        "xs": [rng.randint(0, 9) for _ in range(rng.randint(2, 4))],
        "d": {key: rng.randint(0, 9) for key in rng.sample(_KEYS, rng.randint(1, 3))},
        "s": " ".join(rng.choice(("red", "blue", "sky", "sea", "up", "on")) for _ in range(2)),
    }
    given = rng.sample(sorted(arguments), 2)
    trial = Trial(rng, _BOUNDS, {name: arguments[name] for name in given})
    kinds = {list: _list, dict: _dict, set: _set, str: _str, tuple: _tuple}
    for _ in range(between(2, 20, difficulty)):
        trial.draw([kinds[kind] for kind in kinds if trial.names(kind)])
    shown = [name for name in trial.values if name not in given] or given
    last = rng.sample(shown, min(len(shown), 3))
    return trial.finish(last[0] if len(last) == 1 else f"({', '.join(last)})")


def _one(trial: Trial, kind: type) -> str:
    return trial.rng.choice(trial.names(kind))


def _number(trial: Trial) -> str:
    return trial.rng.choice([*trial.names(int), str(trial.rng.randint(0, 9))])


def _new(trial: Trial, kind: type) -> str:
    return trial.name(kind, _FREE[kind])


def _list(trial: Trial) -> str:
    rng, xs, n = trial.rng, _one(trial, list), _number(trial)
    if rng.random() < 0.5:
        change = (f"append({n})", f"insert(0, {n})", "sort()", "reverse()", f"remove({n})")
        more = (f"extend([{n}, {_number(trial)}])", "sort(reverse=True)", "pop()")
        return f"{xs}.{rng.choice(change + more)}"
    kind, right = rng.choice(
        (
            (int, f"{xs}.pop({rng.choice(('', '0'))})"),
            (int, f"{xs}[{rng.choice((-1, 0, 1))}]"),
            (int, f"{xs}.count({n})"),
            (int, f"sum({xs})"),
            (int, f"{xs}.index({n})"),
            (list, f"sorted({xs})"),
            (list, f"{xs}[{rng.randint(0, 2)}:] + {xs}[:1]"),
            (list, f"[x + {rng.randint(1, 3)} for x in {xs}]"),
            (set, f"set({xs})"),
            (tuple, f"(min({xs}), max({xs}))"),
            (list, xs),  # another name for the same list
        )
    )
    return f"{_new(trial, kind)} = {right}"


def _dict(trial: Trial) -> str:
    rng, d, n, key = trial.rng, _one(trial, dict), _number(trial), trial.rng.choice(_KEYS)
    change = (
        f"{d}[{key!r}] = {n}",
        f"{d}[{key!r}] = {d}.get({key!r}, 0) + 1",
        f"{d}.update({key}={n})",
        f"{d}.setdefault({key!r}, {n})",
        f"del {d}[{key!r}]",
    )
    if rng.random() < 0.55:
        return rng.choice(change)
    kind, right = rng.choice(
        (
            (int, f"{d}.get({key!r}, {n})"),
            (int, f"{d}.pop({key!r}, {n})"),
            (int, f"sum({d}.values())"),
            (int, f"len({d})"),
            (list, f"sorted({d})"),
            (list, f"list({d}.values())"),
            (tuple, f"{d}.popitem()"),
            (dict, f"{d} | {{{key!r}: {n}}}"),
            (str, f"''.join({d})"),
        )
    )
    return f"{_new(trial, kind)} = {right}"


def _set(trial: Trial) -> str:
    rng, s, n = trial.rng, _one(trial, set), _number(trial)
    other = rng.choice(trial.names(set))
    if rng.random() < 0.5:
        return f"{s}.{rng.choice(('add', 'add', 'discard', 'remove'))}({n})"
    kind, right = rng.choice(
        (
            (int, f"len({s})"),
            (int, f"max({s})"),
            (list, f"sorted({s})"),
            (set, f"{s} {rng.choice('|&-^')} {other}"),
            (set, f"{s} | {{{n}}}"),
        )
    )
    return f"{_new(trial, kind)} = {right}"


def _tuple(trial: Trial) -> str:
    rng, p = trial.rng, _one(trial, tuple)
    if rng.random() < 0.3:
        return f"{p} = {p} + ({_number(trial)},)"
    kind, right = rng.choice(
        ((int, f"len({p})"), (tuple, f"{p}[::-1]"), (list, f"list({p})"), (tuple, f"{p}[1:] * 2"))
    )
    return f"{_new(trial, kind)} = {right}"


def _str(trial: Trial) -> str:
    rng, s, a, b = trial.rng, _one(trial, str), trial.rng.choice("eduo"), trial.rng.choice("xyz")
    kind, right = rng.choice(
        (
            (int, f"{s}.find({a!r})"),
            (int, f"{s}.count({a!r})"),
            (list, f"{s}.split()"),
            (list, f"{s}.split({a!r})"),
            (str, f"{s}.replace({a!r}, {b!r})"),
            (str, f"{s}.{rng.choice(('upper', 'title', 'swapcase', 'strip', 'lower'))}()"),
            (str, f"'-'.join({s}.split())"),
            (str, f"{s}[{rng.randint(0, 2)}:{rng.randint(4, 9)}]"),
            (tuple, f"{s}.partition({rng.choice((' ', a))!r})"),
        )
    )
    return f"{_new(trial, kind)} = {right}"


FAMILY = Family(name="containers", write=_write, bounds=_BOUNDS)
