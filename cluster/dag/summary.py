"""The last lines of a run: a table of its steps, and what to type next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cluster.dag.artifact import Artifact
from cluster.dag.executor import Outcome
from cluster.dag.step import Pipeline

_COLOURS = {
    "done": "green",
    "cached": "dim green",
    "kept": "dim",
    "failed": "bold red",
    "blocked": "red",
    "stopped": "yellow",
}
_SHOWN = 3  # statistics in a row when the stage names none


def print_summary(
    pipeline: Pipeline, outcomes: Mapping[str, Outcome], seconds: float, console: Console
) -> None:
    """Print step, status, wall and processor seconds of the attempt that made it, statistics.

    Of a cached step the seconds are those of the attempt that made its artifact, in brackets.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("step", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("wall s", justify="right", no_wrap=True)
    table.add_column("CPU s", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    wall = cpu = 0.0
    for name, outcome in outcomes.items():
        status = f"[{_COLOURS[outcome.status]}]{outcome.status}[/]"
        artifact = outcome.artifact
        if artifact is None:
            first = outcome.message.partition("\n")[0]
            table.add_row(name, status, "", "", escape(first))
            continue
        times = [f"{artifact.record.wall_seconds:.1f}", f"{artifact.record.cpu_seconds:.1f}"]
        if outcome.status == "done":
            wall, cpu = wall + artifact.record.wall_seconds, cpu + artifact.record.cpu_seconds
        else:
            times = [f"({text})" for text in times]
        headline = pipeline.steps[name].stage.headline
        table.add_row(name, status, *times, escape(_statistics(artifact, headline)))
    console.print()
    console.print(table)
    console.print(
        f"{seconds:.1f} s; steps that ran: {wall:.1f} s wall, {cpu:.1f} s CPU", highlight=False
    )


def _statistics(artifact: Artifact, headline: Sequence[str]) -> str:
    """Return the statistics that matter in words: ``"documents 5,213, bytes 21.2 M"``."""
    statistics = artifact.record.statistics
    names = [name for name in headline if name in statistics]
    if not headline:
        numbers = [n for n, v in statistics.items() if isinstance(v, int | float)]
        names = [name for name in numbers if not name.endswith("seconds")][:_SHOWN]
    return ", ".join(f"{name} {_number(statistics[name])}" for name in names)


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
