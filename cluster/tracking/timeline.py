"""Where a step's time went: the phases in ``metrics.jsonl``.

A line that has ``seconds.PHASE`` counts the seconds since the line before it. One more line of the
same step, with fewer phases, counts what came after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.dag.metrics import read_metrics

PREFIX = "seconds."


@dataclass(frozen=True, slots=True)
class Timeline:
    """Seconds by phase; ``steps[i]`` is the last step that ``seconds[phase][i]`` tells of."""

    steps: Sequence[int]
    seconds: Mapping[str, Sequence[float]]

    def numbers(self) -> dict[str, Any]:
        """Return each phase's seconds in all, per step, and its share."""
        sums = {phase: sum(values) for phase, values in self.seconds.items()}
        whole, steps = max(sum(sums.values()), 1e-9), self.steps[-1]
        return {
            "steps": steps,
            "seconds": sum(sums.values()),
            "phases": {
                phase: {"seconds": total, "per_step": total / steps, "share": total / whole}
                for phase, total in sums.items()
            },
        }


def read_timeline(file: Path) -> Timeline | None:
    """Read the phases of a ``metrics.jsonl``; None where it has none.

    Of steps that were made again after a resume the last time counts.
    """
    found: dict[int, dict[str, float]] = {}
    last = -1
    for line in read_metrics(file):
        step, phases = line["step"], _phases(line["metrics"])
        if not phases or step < 1:
            continue
        told = found.get(step, {})
        if phases.keys() < told.keys():  # what came after the last step
            for phase, seconds in phases.items():
                told[phase] += seconds
            continue
        if step <= last:
            found = {earlier: value for earlier, value in found.items() if earlier < step}
        found[step], last = phases, step
    if not found:
        return None
    steps = sorted(found)
    names = list(dict.fromkeys(name for step in steps for name in found[step]))
    return Timeline(steps, {name: [found[s].get(name, 0.0) for s in steps] for name in names})


def _phases(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {
        name.removeprefix(PREFIX): float(value)
        for name, value in metrics.items()
        if name.startswith(PREFIX)
    }
