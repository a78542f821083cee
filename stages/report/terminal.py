"""The end of a run in the terminal: a table of metrics, one of steps, and one prediction beside
the truth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cluster.dag.stage import Input
from stages.report.records import read_records
from stages.report.settings import ReportSettings
from stages.report.summary import step_row, summarise

MARKS = {
    "better": ("▲", "green"),
    "worse": ("▼", "red"),
    "not significant": ("≈", "dim"),
    "unknown": ("", ""),
}
"""What is printed for a change from the checkpoint before, and its style."""

SHOWN = 600  # characters of a prompt, a prediction or a truth


def print_summary(
    inputs: Mapping[str, Input], console: Console | None = None, *, steps: bool = True
) -> None:
    """Print the tables of a finished pipeline; ``steps=False`` leaves out what the steps cost.

    ``inputs`` are the pipeline's artifacts by step; when the report is among them its
    ``summary.json`` is printed, else one is made from the records.
    """
    (console or Console()).print(summary(load(inputs), steps=steps))


def load(inputs: Mapping[str, Input]) -> dict[str, Any]:
    """Return the summary of a pipeline's artifacts: the report's own, with the report's cost
    added.
    """
    reports = [item for item in inputs.values() if item.kind == "report"]
    if not reports:
        return summarise(read_records(inputs), ReportSettings())
    found = read_summary(reports[0].path)
    for record in read_records({"report": reports[0]}):
        found["steps"].append(step_row(record))
        found["page"] = str(record.path / "index.html")
    return found


def read_summary(report: Path) -> dict[str, Any]:
    """Return the ``summary.json`` of a report's directory."""
    found: dict[str, Any] = json.loads((report / "summary.json").read_text())
    return found


def summary(found: Mapping[str, Any] | Path, *, steps: bool = True) -> RenderableType:
    """Return what is printed for a summary, or for a report's directory."""
    if isinstance(found, Path):
        found = read_summary(found)
    parts: list[RenderableType] = [metrics_table(found)]
    if found["reinforcement"]:
        parts.append(reinforcement_table(found))
    if steps:
        parts.append(steps_table(found))
    if found["examples"]:
        parts.append(example_panel(found["examples"][0]))
    if "page" in found:
        parts.append(Text(f"report: {found['page']}", no_wrap=True))
    return Group(*parts)


def metrics_table(found: Mapping[str, Any]) -> Table:
    """Return one line per metric: the baseline, then each checkpoint with its mark."""
    limit = f"{found['significance']:g} standard errors of the difference"
    table = Table(
        title="metrics per checkpoint",
        caption=f"value ± standard error; against the checkpoint before: ▲ better, ▼ worse,\n"
        f"≈ not significant (within {limit}); * beats the baseline significantly",
    )
    table.add_column("metric", overflow="fold")
    table.add_column("n", justify="right")
    table.add_column("baseline", overflow="fold")
    for checkpoint in found["checkpoints"]:
        table.add_column(checkpoint, justify="right")
    for row in found["metrics"]:
        scores = row["scores"]
        counts = [s["n"] for s in scores.values() if s["n"] is not None]
        cells = [_score(scores.get(checkpoint)) for checkpoint in found["checkpoints"]]
        arrow = "↓" if row["better"] == "lower" else "↑"
        count = f"{max(counts):,}" if counts else "–"
        table.add_row(f"{row['name']} {arrow}", count, baseline_text(row), *cells)
    return table


def baseline_text(row: Mapping[str, Any]) -> str:
    """Return a metric's baselines as text, each value with its name; "–" where there is none."""
    return ", ".join(f"{value:.3g} {name}" for name, value in row["baselines"].items()) or "–"


def score_text(score: Mapping[str, Any]) -> str:
    """Return a score as text: its value, standard error, and a star when it beats the baseline."""
    spread = "" if score["se"] is None else f" ±{score['se']:.2g}"
    star = "*" if score["against"] == "better" else ""
    return f"{score['value']:.4g}{spread}{star}"


def _score(score: Mapping[str, Any] | None) -> Text:
    if score is None:
        return Text("–")
    mark, style = MARKS[score["change"] or "unknown"]
    return Text(f"{score_text(score)} {mark}".strip(), style=style)


def reinforcement_table(found: Mapping[str, Any]) -> Table:
    """Return the held-out prompts before and after reinforcement learning, with the paired test."""
    table = Table(title="reinforcement learning, held-out prompts")
    for heading in ("", "before", "after", "change", ""):
        table.add_column(heading, justify="right" if heading else "left")
    for row in found["reinforcement"]:
        table.add_row(*reinforcement_cells(row))
    return table


def reinforcement_cells(row: Mapping[str, Any]) -> list[str]:
    """Return the cells of a line about before and after: name, both scores, change, verdict."""
    sides = [side_text(row[side], row[f"{side}_se"]) for side in ("before", "after")]
    verdict = row["significance"] or "not tested"
    if row["p"] is not None:
        verdict += f" (p = {row['p']:.2g})"
    return [
        f"{row['name']} (n {row['n']})",
        *sides,
        f"{row['after'] - row['before']:+.3f}",
        verdict,
    ]


def side_text(value: float, se: float | None) -> str:
    """Return a value with its standard error as text."""
    return f"{value:.3f}" if se is None else f"{value:.3f} ±{se:.3f}"


def steps_table(found: Mapping[str, Any]) -> Table:
    """Return one line per step with wall and CPU seconds, and their sums."""
    table = Table(title="steps", show_footer=True)
    sums = [sum(s[k] or 0.0 for s in found["steps"]) for k in ("wall_seconds", "cpu_seconds")]
    table.add_column("step", footer="sum")
    table.add_column("wall s", justify="right", footer=f"{sums[0]:,.1f}")
    table.add_column("CPU s", justify="right", footer=f"{sums[1]:,.1f}")
    for step in found["steps"]:
        table.add_row(
            step["step"], seconds_text(step["wall_seconds"]), seconds_text(step["cpu_seconds"])
        )
    return table


def seconds_text(seconds: float | None) -> str:
    """Return a duration in seconds as text, "–" when it is not known."""
    return "–" if seconds is None else f"{seconds:,.1f}"


def example_panel(example: Mapping[str, Any]) -> Panel:
    """Return one prediction beside the truth."""
    sides = Table(expand=True, show_lines=False)
    for heading in ("prediction", "truth"):
        sides.add_column(heading, ratio=1, overflow="fold")
    sides.add_row(Text(shorten(example.get("prediction"))), Text(shorten(example.get("truth"))))
    verdict = "right" if example.get("correct") else "wrong"
    title = f"{example.get('step')} · {example.get('metric')} · {verdict}"
    return Panel(Group(Text(shorten(example.get("prompt"))), sides), title=Text(title))


def shorten(value: Any) -> str:
    """Return a value as text of at most `SHOWN` characters: its beginning and its end."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) <= SHOWN:
        return text
    return f"{text[: SHOWN // 2]}\n…\n{text[-SHOWN // 2 :]}"
