"""Report: one self-contained HTML page about a run of the pipeline, built from the records alone.

It reads what each step left (statistics, metrics, tables, results) and calls into no other stage,
so that adding a number to the page never means touching the stage that measured it.
"""

from cluster.dag.stage import Stage
from stages.kinds import (
    CHECKPOINT,
    CORPUS,
    DOCUMENTS,
    EVALUATION,
    REPORT,
    TASKS,
    TOKENIZER,
    TOKENS,
    TRACES,
    TRAJECTORIES,
)
from stages.report.settings import ReportSettings

STAGE = Stage(
    name="report",
    revision=2,
    run="stages.report.run:run",
    settings=ReportSettings,
    more=(
        DOCUMENTS,
        CORPUS,
        TRACES,
        TRAJECTORIES,
        TASKS,
        TOKENIZER,
        TOKENS,
        CHECKPOINT,
        EVALUATION,
    ),
    output=REPORT,
    modules=(
        "cluster.dag.metrics",
        "cluster.tracking.timeline",
        "cluster.tracking.timeline_figure",
    ),
    headline=("metrics", "significantly_better", "significantly_worse", "not_significant"),
    deterministic=False,  # it shows how long the steps took
)
"""The stage as the pipeline sees it."""
