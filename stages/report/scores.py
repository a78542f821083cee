"""The headline: every metric at every checkpoint, and whether it changed by more than chance."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from stages.report.records import StepRecord, of_kind

Verdict = Literal["better", "worse", "not significant", "unknown"]


@dataclass(frozen=True, slots=True)
class Score:
    """A metric at one checkpoint, with n and its standard error where they are known.

    ``change`` compares it with the checkpoint before (None for the first), ``against`` with the
    baseline.
    """

    value: float
    se: float | None
    n: int | None
    change: Verdict | None
    against: Verdict | None


@dataclass(frozen=True, slots=True)
class MetricRow:
    """A metric across the checkpoints; ``baseline`` is the strongest of ``baselines`` (name:
    value).
    """

    name: str
    better: str
    baseline: float | None
    baselines: dict[str, float]
    scores: dict[str, Score] = field(default_factory=dict)


def compare(
    value: float,
    se: float | None,
    other: float,
    other_se: float | None,
    *,
    better: str,
    threshold: float,
) -> Verdict:
    """Say whether ``value`` is better than ``other`` by more than ``threshold`` standard errors.

    The error of the difference is the root of the summed squares: it ignores that both were
    measured on the same tasks, which makes the verdict a careful one. "unknown" when no error is
    known.
    """
    if se is None and other_se is None:
        return "unknown"
    spread = math.hypot(se or 0.0, other_se or 0.0)
    difference = value - other
    if abs(difference) <= threshold * spread:
        return "not significant"
    return "better" if (difference > 0) == (better == "higher") else "worse"


def metric_rows(
    records: Sequence[StepRecord], threshold: float
) -> tuple[list[str], list[MetricRow]]:
    """Return the checkpoints that were evaluated, in order, and one row per metric."""
    evaluations = of_kind(records, "evaluation")
    checkpoints = [record.step.partition(".")[2] or record.step for record in evaluations]
    rows: dict[str, MetricRow] = {}
    for checkpoint, record in zip(checkpoints, evaluations, strict=True):
        for entry in _results(record):
            row = rows.get(entry["name"]) or _new_row(entry)
            rows[entry["name"]] = row
            previous = next(reversed(row.scores.values()), None)
            row.scores[checkpoint] = _score(entry, row, previous, threshold)
    return checkpoints, list(rows.values())


def _results(record: StepRecord) -> list[dict[str, Any]]:
    results = json.loads((record.path / "results.json").read_text())["metrics"]
    return [entry for entry in results if entry.get("value") is not None]


def _new_row(entry: dict[str, Any]) -> MetricRow:
    strongest = entry.get("baseline")
    known = entry.get("baselines") or ([strongest] if strongest else [])
    return MetricRow(
        entry["name"],
        entry.get("better", "higher"),
        strongest["value"] if strongest else None,
        {baseline["name"]: baseline["value"] for baseline in known},
    )


def _score(
    entry: dict[str, Any], row: MetricRow, previous: Score | None, threshold: float
) -> Score:
    value, se = float(entry["value"]), entry.get("se")
    change: Verdict | None = None
    against: Verdict | None = None
    if previous is not None:
        change = compare(
            value, se, previous.value, previous.se, better=row.better, threshold=threshold
        )
    if row.baseline is not None:
        against = compare(value, se, row.baseline, None, better=row.better, threshold=threshold)
    return Score(value, se, entry.get("n"), change, against)
