"""Build the report: ``index.html``, its figures as SVG files, and ``summary.json``."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from cluster.dag.metrics import write_statistics
from cluster.dag.stage import StepContext
from cluster.tracking.timeline import read_timeline
from cluster.tracking.timeline_figure import timeline_figure
from stages.report.curves import Curve, read_curves
from stages.report.page import build_page
from stages.report.plots import curves_figure, funnel_figure, metrics_figure
from stages.report.records import StepRecord, read_records
from stages.report.summary import summarise

log = logging.getLogger(__name__)


def run(context: StepContext) -> None:
    """Write the page about the steps whose artifacts are the inputs."""
    records = read_records(context.inputs)
    found = summarise(records, context.settings)
    figures = {
        "metrics": metrics_figure(found["checkpoints"], found["metrics"]),
        "loss": curves_figure(_curves(records, ("loss",), but="rl"), "loss (nats per token)"),
        "reward": curves_figure(_curves(records, ("reward",)), "reward"),
        "timeline": _timeline(records),
        "funnel": funnel_figure(found["funnels"]),
    }
    for name, svg in figures.items():
        if svg is not None:
            (context.output / f"{name}.svg").write_text(svg)
    (context.output / "summary.json").write_text(json.dumps(found, indent=1) + "\n")
    (context.output / "index.html").write_text(build_page(found, figures))
    write_statistics(context.statistics_file, _statistics(found))
    log.info("report on %d steps and %d metrics", len(records), len(found["metrics"]))


def _curves(
    records: Sequence[StepRecord], words: Sequence[str], *, but: str | None = None
) -> list[Curve]:
    """Return the curves named by ``words`` of every checkpoint's step, except of the stage
    ``but``.
    """
    return [
        curve
        for record in records
        if record.kind == "checkpoint" and record.stage != but
        for curve in read_curves(record, words)
    ]


def _timeline(records: Sequence[StepRecord]) -> str | None:
    """Return where the time of steps went, a panel per step that told it."""
    found = {record.step: read_timeline(record.path / "metrics.jsonl") for record in records}
    told = {step: timeline for step, timeline in found.items() if timeline is not None}
    return timeline_figure(told) if told else None


def _statistics(found: dict[str, Any]) -> dict[str, int]:
    verdicts = [s["change"] for row in found["metrics"] for s in row["scores"].values()]
    return {
        "steps": len(found["steps"]),
        "metrics": len(found["metrics"]),
        "significantly_better": verdicts.count("better"),
        "significantly_worse": verdicts.count("worse"),
        "not_significant": verdicts.count("not significant"),
    }
