"""How sure a difference is: spread over seeds, tests, a bootstrap, the minimum detectable effect.

A seed is one training run of each arm from the same checkpoint; the runs, not the questions, are
what a claim about training generalises over. Six seeds are few: all tests are exact or by Student's
t, and none is corrected for the number of contrasts, of which one is primary.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import stats

from stages.compare.pairing import Floats, Measured, Pair, Probes
from stages.probe.item import Item

_AT_ONCE = 1_000
"""Resamples drawn together; bounds memory."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a difference. ``p_t`` and ``p_signs`` are two-sided; None with one seed."""

    seeds: int
    questions: int
    arm: float
    against: float
    difference: float
    by_seed: tuple[float, ...]
    deviation: float | None
    low: float
    high: float
    p_t: float | None
    p_signs: float | None
    detectable: float | None


@dataclass(frozen=True, slots=True)
class Level:
    """A measure of one arm: the mean over seeds and its spread (None with one seed)."""

    arm: str
    measure: str
    seeds: int
    questions: int
    mean: float
    deviation: float | None
    least: float
    most: float


def levels(probes: Probes) -> list[Level]:
    """Return every measure of every arm, over all questions that were asked."""
    amounts: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    questions: dict[tuple[str, str], int] = {}
    for arms in probes.values():
        for arm, items in arms.items():
            by_measure: defaultdict[str, list[Item]] = defaultdict(list)
            for item in items:
                by_measure[item.measure].append(item)
            for measure, found in by_measure.items():
                total, size = sum(i.amount for i in found), sum(i.size for i in found)
                amounts[arm, measure].append(total / size)
                questions[arm, measure] = len(found)
    return [
        Level(
            arm=arm,
            measure=measure,
            seeds=len(values),
            questions=questions[arm, measure],
            mean=float(np.mean(values)),
            deviation=float(np.std(values, ddof=1)) if len(values) > 1 else None,
            least=min(values),
            most=max(values),
        )
        for (arm, measure), values in sorted(amounts.items(), key=lambda each: each[0][::-1])
    ]


def verdict(
    pair: Pair, *, resamples: int, level: float, power: float, rng: np.random.Generator
) -> Verdict:
    """Return means, spread, interval and tests of a contrast."""
    differences = pair.differences()
    seeds = len(differences)
    low, high = interval(pair, resamples=resamples, level=level, rng=rng)
    deviation = float(differences.std(ddof=1)) if seeds > 1 else None
    return Verdict(
        seeds=seeds,
        questions=len(pair.questions),
        arm=float(pair.arm.means().mean()),
        against=float(pair.against.means().mean()),
        difference=float(differences.mean()),
        by_seed=tuple(float(value) for value in differences),
        deviation=deviation,
        low=low,
        high=high,
        p_t=t_test(differences),
        p_signs=sign_flips(differences) if seeds > 1 else None,
        detectable=detectable(deviation, seeds, level, power) if deviation is not None else None,
    )


def interval(
    pair: Pair, *, resamples: int, level: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the percentile interval of the mean difference, resampling seeds, then questions.

    All seeds answered the same questions, so one draw of questions goes for all seeds drawn: what
    an easy set of questions does, it does to all of them (Owen's pigeonhole bootstrap, Annals of
    Applied Statistics 2007, which errs on the wide side).
    """
    seeds, questions = len(pair.seeds), len(pair.questions)
    means = []
    for start in range(0, resamples, _AT_ONCE):
        count = min(_AT_ONCE, resamples - start)
        drawn = rng.multinomial(questions, np.full(questions, 1 / questions), size=count)
        of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=count) / seeds
        weights = drawn.astype(np.float64)
        differences = _ratios(pair.arm, weights) - _ratios(pair.against, weights)
        means.append((differences * of_seeds).sum(1))
    low, high = np.quantile(np.concatenate(means), [level / 2, 1 - level / 2])
    return float(low), float(high)


def _ratios(side: Measured, weights: Floats) -> Floats:
    """Return the mean of every seed under every resample [resamples, seeds]."""
    ratios: Floats = (weights @ side.amount.T) / (weights @ side.size.T)
    return ratios


def t_test(differences: Floats) -> float | None:
    """Return the two-sided p of Student's t test of the seeds' differences; None where it has
    none.
    """
    if len(differences) < 2 or not differences.std():
        return None
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def sign_flips(differences: Floats) -> float:
    """Return the exact two-sided p of the seeds' differences under any change of their signs.

    With six seeds it cannot be below 2 / 64.
    """
    seen = abs(differences.sum())
    signs = np.array(list(product((1.0, -1.0), repeat=len(differences))))
    return float((np.abs(signs @ differences) >= seen - 1e-12).mean())


def detectable(deviation: float, seeds: int, level: float, power: float) -> float | None:
    """Return the smallest true difference that a t test over ``seeds`` finds with ``power``.

    The usual approximation (t quantiles of level and power, times the standard error); None with
    one seed.
    """
    if seeds < 2:
        return None
    freedom = seeds - 1
    quantiles = stats.t.ppf(1 - level / 2, freedom) + stats.t.ppf(power, freedom)
    return float(quantiles) * deviation / math.sqrt(seeds)
