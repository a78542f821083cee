"""The report in numbers: what the page shows and the terminal prints, as one JSON document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from stages.report.data import funnels, origin_licences, token_sources
from stages.report.records import StepRecord, of_kind
from stages.report.scores import metric_rows
from stages.report.settings import ReportSettings


def summarise(records: Sequence[StepRecord], settings: ReportSettings) -> dict[str, Any]:
    """Return the summary: ``checkpoints``, ``metrics``, ``steps``, ``reinforcement``,
    ``funnels``, ``tokens``, ``origins``, ``examples``; plain JSON values only.
    """
    checkpoints, rows = metric_rows(records, settings.significance)
    return {
        "title": settings.title,
        "significance": settings.significance,
        "checkpoints": checkpoints,
        "metrics": [asdict(row) for row in rows],
        "steps": [step_row(record) for record in records],
        "reinforcement": before_after(records),
        "funnels": [asdict(funnel) for funnel in funnels(records)],
        "tokens": [asdict(source) for source in token_sources(records)],
        "origins": [asdict(origin) for origin in origin_licences(records)],
        "examples": pick_examples(records, settings.examples),
    }


def step_row(record: StepRecord) -> dict[str, Any]:
    """Return what a step cost and what names it; absent fields are None."""
    names = ("fingerprint", "attempt", "run_id", "wall_seconds", "cpu_seconds", "finished_at")
    row = {name: record.record.get(name) for name in names}
    return {"step": record.step, "kind": record.kind, **row}


def before_after(records: Sequence[StepRecord]) -> list[dict[str, Any]]:
    """Return the scores on held-out prompts before and after reinforcement learning.

    Read from statistics named ``heldout_before.X``, ``heldout_after.X``, their ``X_se`` and ``n``,
    and the paired test's ``heldout_change.X_p`` and ``X_significance`` where it was made.
    """
    rows = []
    for record in of_kind(records, "checkpoint"):
        found = record.statistics
        for key, before in found.items():
            name = key.removeprefix("heldout_before.")
            after = found.get(f"heldout_after.{name}")
            if name == key or after is None or name.endswith("_se") or name.split(".")[-1] == "n":
                continue
            kind = name.rpartition(".")[0]
            rows.append(
                {
                    "step": record.step,
                    "name": name,
                    "n": found.get(f"heldout_before.{kind}.n" if kind else "heldout_before.n"),
                    "before": before,
                    "before_se": found.get(f"heldout_before.{name}_se"),
                    "after": after,
                    "after_se": found.get(f"heldout_after.{name}_se"),
                    "p": found.get(f"heldout_change.{name}_p"),
                    "significance": found.get(f"heldout_change.{name}_significance"),
                }
            )
    return rows


def pick_examples(records: Sequence[StepRecord], count: int) -> list[dict[str, Any]]:
    """Return up to ``count`` predictions of the last evaluated checkpoint.

    Metrics take turns, each with a right prediction first and a wrong one next, so that neither
    hides the other.
    """
    evaluations = of_kind(records, "evaluation")
    if not evaluations:
        return []
    chosen: dict[tuple[str, bool], dict[str, Any]] = {}
    for example in _examples(evaluations[-1]):
        chosen.setdefault((str(example.get("metric")), bool(example.get("correct"))), example)
    ordered = sorted(chosen, key=lambda key: (not key[1], key[0]))
    step = evaluations[-1].step
    return [chosen[key] | {"step": step} for key in ordered[:count]]


def _examples(evaluation: StepRecord) -> Iterator[dict[str, Any]]:
    file = evaluation.path / "examples.jsonl"
    if file.exists():
        with file.open() as lines:
            yield from (json.loads(line) for line in lines if line.strip())
