"""What an evaluation leaves: ``results.json`` and ``examples.jsonl``.

``results.json``::

    {"metrics": [{"name", "value", "n", "clusters", "se", "better", "unit", "prompt",
                  "baseline": {"name", "value"} | null, "baselines": [...]}, ...],
     "left_out": {what: how many}, "settings": {...}}

``baseline`` is the strongest of ``baselines``. An example is {metric, task, prompt, prediction,
truth, correct, document, origin, licence}. No times, so that equal measurements are equal bytes.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from stages.evaluate.estimate import Estimate, Observation, ratio

log = logging.getLogger(__name__)

_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Example:
    """One prediction beside the truth; ``origin`` is where the code comes from."""

    task: str
    prompt: str
    prediction: str
    truth: str
    correct: bool
    origin: Mapping[str, str]
    """Provenance: document, origin, licence, name where they are known."""


@dataclass(slots=True)
class Record:
    """Collects metrics and examples; at most ``examples`` per metric."""

    examples: int
    metrics: list[dict[str, Any]] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(
        self,
        name: str,
        observations: Iterable[Observation],
        *,
        baselines: Mapping[str, Estimate | None] | None = None,
        better: Literal["higher", "lower"] = "higher",
        unit: str = "",
        prompt: str = "",
        examples: Iterable[Example] = (),
    ) -> None:
        """Add a metric; without observations there is none, and that is counted as left out."""
        estimate = ratio(observations)
        if estimate is None:
            self.left_out[name] += 1
            return
        known = {k: e for k, e in (baselines or {}).items() if e is not None}
        beside = [{"name": k, "value": round(e.value, _DIGITS)} for k, e in known.items()]
        sign = 1 if better == "higher" else -1
        strongest = max(known, key=lambda k: sign * known[k].value, default=None)
        self.metrics.append(
            {
                "name": name,
                "value": round(estimate.value, _DIGITS),
                "n": estimate.n,
                "clusters": estimate.clusters,
                "se": None if estimate.se is None else round(estimate.se, _DIGITS),
                "better": better,
                "unit": unit,
                "prompt": prompt,
                "baseline": next((b for b in beside if b["name"] == strongest), None),
                "baselines": beside,
            }
        )
        log.info("%s", describe(self.metrics[-1]))
        for example in list(examples)[: self.examples]:
            row = {f: getattr(example, f) for f in ("task", "prompt", "prediction", "truth")}
            self.kept.append(
                {"metric": name, **row, "correct": example.correct, **dict(example.origin)}
            )

    def values(self) -> dict[str, float]:
        """Return {metric: value} and {metric.se: standard error}."""
        found: dict[str, float] = {}
        for metric in self.metrics:
            found[metric["name"]] = metric["value"]
            if metric["se"] is not None:
                found[metric["name"] + ".se"] = metric["se"]
        return found

    def write(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Write both files."""
        results = {
            "metrics": self.metrics,
            "left_out": dict(sorted(self.left_out.items())),
            "settings": dict(settings),
        }
        (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
        lines = (json.dumps(row, ensure_ascii=True) + "\n" for row in self.kept)
        (folder / "examples.jsonl").write_text("".join(lines))


def describe(metric: Mapping[str, Any]) -> str:
    """Return a metric in one line, for the log."""
    error = "" if metric["se"] is None else f" ± {metric['se']:.4f}"
    beside = "".join(f", {b['name']} {b['value']:.4f}" for b in metric["baselines"])
    return f"{metric['name']} {metric['value']:.4f}{error} (n {metric['n']}{beside})"
