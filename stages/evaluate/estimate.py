"""Estimates with standard errors that know of clusters.

Frames of one trace, and traces of one function, go right or wrong together. Treating them as
independent would make standard errors too small, so observations come with the cluster they belong
to; with one observation per cluster the result is the binomial standard error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing measured: ``amount`` out of ``size`` (1 of 1, or bits of bytes), in ``cluster``."""

    cluster: str
    amount: float
    size: float = 1.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A ratio of sums. ``n`` is the number of observations, ``se`` None with under two clusters."""

    value: float
    n: int
    clusters: int
    se: float | None


def ratio(observations: Iterable[Observation]) -> Estimate | None:
    """Return sum(amount) / sum(size) with its cluster-robust standard error; None without any.

    The error is the linearised one of a ratio of cluster totals: with residuals
    ``r_c = amount_c - value * size_c`` it is ``sqrt(C / (C - 1) * sum(r_c ** 2)) / sum(size)``.
    When all is wrong, or all right, that is 0, as if no doubt were left; then it is the binomial
    error of one miss in C + 2 clusters.
    """
    amounts: dict[str, float] = {}
    sizes: dict[str, float] = {}
    n = 0
    for seen in observations:
        amounts[seen.cluster] = amounts.get(seen.cluster, 0.0) + seen.amount
        sizes[seen.cluster] = sizes.get(seen.cluster, 0.0) + seen.size
        n += 1
    total = sum(sizes.values())
    if not total:
        return None
    value = sum(amounts.values()) / total
    count = len(amounts)
    if count < 2:
        return Estimate(value, n, count, None)
    if value in (0.0, 1.0):
        chance = 1 / (count + 2)
        return Estimate(value, n, count, math.sqrt(chance * (1 - chance) / (count + 2)))
    squares = sum((amounts[c] - value * sizes[c]) ** 2 for c in amounts)
    return Estimate(value, n, count, math.sqrt(squares * count / (count - 1)) / total)


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """Return the unbiased estimate of the chance that one of ``k`` samples passes.

    Raises `ValueError` when there are fewer than ``k`` samples.
    """
    if samples < k:
        raise ValueError(f"pass@{k} needs at least {k} samples, there are {samples}")
    if samples - passed < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(samples - passed + 1, samples + 1))
