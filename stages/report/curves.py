"""Curves over training: the metrics that steps wrote to ``metrics.jsonl``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cluster.dag.metrics import read_metrics
from stages.report.records import StepRecord


@dataclass(frozen=True, slots=True)
class Curve:
    """A metric of one step over its steps; equal lengths, steps ascending."""

    step: str
    name: str
    x: list[int]
    y: list[float]


def read_curves(record: StepRecord, words: Sequence[str]) -> list[Curve]:
    """Return the curves of a step whose names contain one of ``words``.

    A training step that was repeated after a resume counts once, as it went the last time.
    """
    points: dict[str, dict[int, float]] = {}
    for line in read_metrics(record.path / "metrics.jsonl"):
        for name, value in line["metrics"].items():
            if any(word in name for word in words):
                points.setdefault(name, {})[line["step"]] = float(value)
    return [
        Curve(record.step, name, sorted(found), [found[x] for x in sorted(found)])
        for name, found in sorted(points.items())
    ]


def smooth(values: Sequence[float], window: int) -> list[float]:
    """Return the mean of the last ``window`` values at every place (of fewer at the beginning)."""
    means, total = [], 0.0
    for place, value in enumerate(values):
        total += value
        if place >= window:
            total -= values[place - window]
        means.append(total / min(place + 1, window))
    return means


def thin(curve: Curve, most: int) -> Curve:
    """Return a curve of at most about ``most`` evenly spaced points, the last one kept."""
    stride = max(1, -(-len(curve.x) // most))
    keep = sorted({*range(0, len(curve.x), stride), len(curve.x) - 1})
    return Curve(curve.step, curve.name, [curve.x[i] for i in keep], [curve.y[i] for i in keep])
