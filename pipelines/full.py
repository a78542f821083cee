#!/usr/bin/env python
"""The whole pipeline: crawl code, run it, train a Code World Model on both, evaluate it.

python pipelines/full.py                      everything, with the preset tiny
python pipelines/full.py --plan               what would happen, and why
python pipelines/full.py --help               the rest, with examples
ray job submit --working-dir . -- python pipelines/full.py --preset smoke
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that it runs from anywhere, installed or not

from cluster.dag.command_line import main  # noqa: E402
from cluster.dag.executor import Outcome  # noqa: E402
from pipelines.presets import PRESETS  # noqa: E402


def results(outcomes: Mapping[str, Outcome], console: Console) -> None:
    """Print every checkpoint's metrics and one prediction beside the truth, when there is a report.

    What each step cost stands in the table above it.
    """
    report = outcomes.get("report")
    if report is None or report.artifact is None:
        return
    from stages.report.terminal import read_summary, summary

    console.print(summary(read_summary(report.artifact.path), steps=False))
    console.print(f"the report: {report.artifact.path / 'index.html'}")
    console.print("walk from a score to its sources: make ui, or")
    console.print(
        "  python -m cluster.tracking.lineage traces.changed_state"
        f" --store {report.artifact.path.parents[2]}",
        soft_wrap=True,
    )


if __name__ == "__main__":
    sys.exit(
        main(
            PRESETS,
            pipeline="full",
            program="python pipelines/full.py",
            root=ROOT,
            about="Train a Code World Model from nothing: crawl, trace, train, evaluate, report.",
            closing=results,
            importing="pipelines.importing:import_steps",
        )
    )
