"""Reading an evaluation's ``results.json``: its metrics, and which input each was measured on."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

_MEASURED_ON = {"code": "corpus", "traces": "traces"}  # what is left is measured on tasks


@dataclass(frozen=True, slots=True)
class EvaluationMetric:
    """A number of an evaluation; ``dataset`` is the name of the input that it was measured on.

    It is None for what only belongs to another number: its error, count or baseline.
    """

    name: str
    value: float
    dataset: str | None


def measured_on(metric: str) -> str:
    """Return the name of the evaluation's input that a metric of this name is measured on."""
    return _MEASURED_ON.get(metric.split(".")[0], "tasks")


def evaluation_metrics(folder: Path) -> list[EvaluationMetric]:
    """Return the metrics of ``results.json`` with their standard errors, counts and baselines
    beside them.
    """
    file = folder / "results.json"
    if not file.exists():
        return []
    found = []
    for entry in json.loads(file.read_text())["metrics"]:
        name = entry["name"]
        baseline = entry.get("baseline") or {}
        values = {
            name: entry["value"],
            f"{name}.se": entry.get("se"),
            f"{name}.n": entry.get("n"),
            f"{name}.baseline": baseline.get("value") if isinstance(baseline, dict) else None,
        }
        found += [
            EvaluationMetric(key, float(value), measured_on(name) if key == name else None)
            for key, value in values.items()
            if value is not None and math.isfinite(value)
        ]
    return found
