"""Loops: over ranges, lists and strings, with a counter that runs down, nested, left early.

What grows is how often they go round (2 to 16 times, an inner loop 2 to 5) and how many there are
(1 to 3).

    def f(n):
        total = 0
        for i in range(n):
            if i % 2:
                continue
            total += i
        return total
"""

from __future__ import annotations

import random

from stages.trace.programs.bounds import Bounds
from stages.trace.programs.program import Family, between
from stages.trace.programs.trial import Trial

_BOUNDS = Bounds(integer=10_000, text=24, items=20, opaque=40)


def _write(rng: random.Random, difficulty: float) -> tuple[str, str]:
    turns = between(2, 16, difficulty)
    arguments = {"n": turns, "xs": [rng.randint(0, 9) for _ in range(min(turns, 12))]}
    trial = Trial(rng, _BOUNDS, arguments)
    kinds = [_sum, _down, _collect, _until, _halve, _pairs, _letters]
    if difficulty > 0.25:
        kinds += [_nested, _nested]
    for place in range(between(1, 3, difficulty)):
        trial.values["place"] = place  # where names of this loop's variables come from
        kind = rng.choice(kinds)
        kinds.remove(kind)
        trial.take(kind(trial, difficulty))
    del trial.values["place"]
    results = [name for name in trial.values if name[0] == "r"]
    return trial.finish(results[0] if len(results) == 1 else f"({', '.join(results)})")


def _result(trial: Trial) -> str:
    return f"r{trial.values['place'] + 1}"


def _step(rng: random.Random, i: str) -> str:
    return rng.choice((i, f"{i} * {rng.randint(2, 9)}", f"{i} + {rng.randint(1, 9)}", f"{i} % 3"))


def _test(rng: random.Random, i: str) -> str:
    n = rng.randint(2, 6)
    return rng.choice((f"{i} % {n} == 0", f"{i} % {n}", f"{i} > {n}", f"{i} < {n + 2}"))


def _sum(trial: Trial, difficulty: float) -> str:
    """A sum over a range, some of it left out."""
    rng, r = trial.rng, _result(trial)
    over = rng.choice(("range(n)", "range(1, n)", "xs", f"range(0, n, {rng.randint(1, 3)})"))
    skip = f"    if {_test(rng, 'i')}:\n        continue\n" if rng.random() < 0.5 else ""
    sign = rng.choice(("+=", "+=", "-="))
    return f"{r} = {rng.randint(0, 3)}\nfor i in {over}:\n{skip}    {r} {sign} {_step(rng, 'i')}"


def _down(trial: Trial, difficulty: float) -> str:
    """A counter that runs down."""
    rng, r = trial.rng, _result(trial)
    k, less = f"k{r[1:]}", rng.randint(1, 2)
    return f"{r} = 0\n{k} = n\nwhile {k} > 0:\n    {r} += {_step(rng, k)}\n    {k} -= {less}"


def _collect(trial: Trial, difficulty: float) -> str:
    """A list, built item by item."""
    rng, r = trial.rng, _result(trial)
    over = rng.choice(("xs", "range(n)", "xs[::-1]"))
    put = f"{r}.append({_step(rng, 'x')})"
    if rng.random() < 0.5:
        return f"{r} = []\nfor x in {over}:\n    {put}"
    other = rng.choice((f"{r}.insert(0, x)", f"{r}.append(-x)", "pass"))
    test = f"    if {_test(rng, 'x')}:\n        {put}\n    else:\n        {other}"
    return f"{r} = []\nfor x in {over}:\n{test}"


def _until(trial: Trial, difficulty: float) -> str:
    """A search that is left early, or not."""
    rng, r = trial.rng, _result(trial)
    other = rng.choice((f"\nelse:\n    {r} -= 1", ""))
    limit = rng.randint(3, 8)
    return f"{r} = 0\nfor x in xs:\n    if x > {limit}:\n        break\n    {r} += x + 1{other}"


def _halve(trial: Trial, difficulty: float) -> str:
    """A number that shrinks to nothing."""
    rng, r = trial.rng, _result(trial)
    k, by = f"k{r[1:]}", rng.choice((2, 2, 3))
    start = f"n * {rng.randint(3, 60)}"
    step = rng.choice((f"{r} += {k} % {by}", f"{r} = {r} * 2 + {k} % {by}", f"{r} += 1"))
    return f"{r} = 0\n{k} = {start}\nwhile {k}:\n    {step}\n    {k} //= {by}"


def _pairs(trial: Trial, difficulty: float) -> str:
    """A loop with two variables."""
    rng, r = trial.rng, _result(trial)
    over = rng.choice(("enumerate(xs)", "zip(xs, xs[1:])", "zip(xs, range(n, 0, -1))"))
    step = rng.choice(("i * x", "x - i", "max(i, x)", "i + x"))
    if rng.random() < 0.3:
        return f"{r} = [{step} for i, x in {over}]"
    return f"{r} = 0\nfor i, x in {over}:\n    {r} += {step}"


def _letters(trial: Trial, difficulty: float) -> str:
    """A string, built letter by letter."""
    rng, r = trial.rng, _result(trial)
    word = "".join(rng.choices("abcdef", k=between(2, 10, difficulty)))
    put = rng.choice((f"{r} += c", f"{r} = c + {r}", f"{r} += c.upper()", f"{r} = {r}[::-1] + c"))
    test = rng.choice((f"c > {rng.choice('bcd')!r}", f"c not in {r}", f"c in {word[:3]!r}"))
    body = f"    if {test}:\n        {put}" if rng.random() < 0.6 else f"    {put}"
    return f"{r} = ''\nfor c in {word!r}:\n{body}"


def _nested(trial: Trial, difficulty: float) -> str:
    """A loop within a loop."""
    rng, r = trial.rng, _result(trial)
    inner = rng.choice((f"range({between(2, 5, difficulty)})", "range(min(i, 5))"))
    outer = f"range({between(2, 9, difficulty)})"
    step = rng.choice(("i * j", "i + j", "j", "1", "i - j"))
    test = f"if {rng.choice(('i > j', '(i + j) % 2', 'j < 2'))}:\n            "
    body = f"        {test if rng.random() < 0.5 else ''}{r} += {step}"
    return f"{r} = 0\nfor i in {outer}:\n    for j in {inner}:\n{body}"


FAMILY = Family(name="loops", write=_write, bounds=_BOUNDS)
