"""Held-out scores before and after RL, with standard errors and paired tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stages.rl.pool import Request, RolloutPool
from stages.rl.selection import Group

SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Score:
    """Per-prompt results of one policy on the same held-out prompts."""

    tasks: tuple[str, ...]
    kinds: tuple[str, ...]
    greedy: tuple[float, ...]
    """1 or 0 per prompt."""
    sampled: tuple[float, ...]
    """Share of passing samples per prompt: pass@1."""
    any_of: tuple[float, ...]
    """1 where at least one of the samples passed: pass@k at k = samples."""


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean; 0 of nothing."""
    return sum(values) / len(values) if values else 0.0


def standard_error(values: Sequence[float]) -> float:
    """Standard error of the mean over prompts."""
    if len(values) < 2:
        return 0.0
    centre = mean(values)
    variance = sum((v - centre) ** 2 for v in values) / (len(values) - 1)
    return math.sqrt(variance / len(values))


def mcnemar(before: Sequence[float], after: Sequence[float]) -> float:
    """Exact two-sided p of paired yes/no results (binomial on the prompts that changed)."""
    gained = sum(b < a for b, a in zip(before, after, strict=True))
    lost = sum(b > a for b, a in zip(before, after, strict=True))
    n, k = gained + lost, min(gained, lost)
    tail = sum(math.comb(n, i) for i in range(k + 1)) / 2**n
    return min(1.0, 2 * tail)


def paired_z(before: Sequence[float], after: Sequence[float]) -> float:
    """Two-sided p of the mean paired difference (normal approximation)."""
    changes = [a - b for b, a in zip(before, after, strict=True)]
    error = standard_error(changes)
    return math.erfc(abs(mean(changes)) / error / math.sqrt(2)) if error else 1.0


def score(
    pool: RolloutPool,
    tasks: Sequence[tuple[str, str]],
    *,
    samples: int,
    version: int,
    seed: int,
    per_request: int,
) -> Score:
    """Sample every held-out (task id, kind) once greedily, ``samples`` times at temperature 1."""
    requests: list[Request] = []
    for start in range(0, len(tasks), per_request):
        names = tuple(name for name, _ in tasks[start : start + per_request])
        for temperature, count in ((0.0, 1), (1.0, samples)):
            number = -1 - len(requests)  # negative: apart from the training requests
            requests.append(
                Request(number, names, count, seed - number, temperature, version, heldout=True)
            )
    groups = _run(pool, requests)
    rates: dict[float, dict[str, Group]] = {0.0: {}, 1.0: {}}
    for request in requests:
        for group in groups[request.id]:
            rates[request.temperature][group.task] = group
    greedy, sampled = rates[0.0], rates[1.0]
    # What could not be scored on either side is left out of both.
    names = tuple(n for n, _ in tasks if greedy[n].solved and sampled[n].solved)
    return Score(
        tasks=names,
        kinds=tuple(greedy[n].kind for n in names),
        greedy=tuple(float(greedy[n].solved[0]) for n in names),
        sampled=tuple(mean([float(s) for s in sampled[n].solved]) for n in names),
        any_of=tuple(float(any(sampled[n].solved)) for n in names),
    )


def _run(pool: RolloutPool, requests: Sequence[Request]) -> dict[int, list[Group]]:
    groups: dict[int, list[Group]] = {}
    waiting = list(requests)
    while waiting or pool.in_flight:
        while waiting and pool.in_flight < pool.capacity:
            pool.submit(waiting.pop(0))
        for rollouts in pool.wait():
            groups[rollouts.request.id] = rollouts.groups
    return groups


def summarise(prefix: str, result: Score, samples: int) -> dict[str, float]:
    """Flat statistics of one score, of all kinds together and of each kind."""
    parts = {"": list(range(len(result.tasks)))}
    kinds = sorted(set(result.kinds))
    if len(kinds) > 1:
        for kind in kinds:
            parts[f"{kind}."] = [i for i, k in enumerate(result.kinds) if k == kind]
    columns = {
        "greedy": result.greedy,
        "pass_at_1": result.sampled,
        f"pass_at_{samples}": result.any_of,
    }
    values: dict[str, float] = {}
    for part, indices in parts.items():
        values[f"{prefix}.{part}n"] = len(indices)
        for name, column in columns.items():
            chosen = [column[i] for i in indices]
            values[f"{prefix}.{part}{name}"] = mean(chosen)
            values[f"{prefix}.{part}{name}_se"] = standard_error(chosen)
    return values


def compare(before: Score, after: Score) -> dict[str, float | str]:
    """Paired p-values of the change, and whether each is significant at 5 %."""
    both = [n for n in before.tasks if n in set(after.tasks)]
    old = {n: i for i, n in enumerate(before.tasks)}
    new = {n: i for i, n in enumerate(after.tasks)}
    values: dict[str, float | str] = {"heldout_change.n": len(both)}
    tests = (
        ("greedy", before.greedy, after.greedy, mcnemar),
        ("pass_at_1", before.sampled, after.sampled, paired_z),
    )
    for name, left, right, test in tests:
        first, second = [left[old[n]] for n in both], [right[new[n]] for n in both]
        p = test(first, second)
        values[f"heldout_change.{name}"] = mean(second) - mean(first)
        values[f"heldout_change.{name}_p"] = p
        values[f"heldout_change.{name}_significance"] = (
            "significant" if p < SIGNIFICANT else "not significant"
        )
    return values
