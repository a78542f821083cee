"""Compare arms and write the report: HTML, Markdown, JSON and a plot."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cluster.dag.metrics import log_metrics, write_statistics
from cluster.dag.stage import StepContext
from stages.compare.figure import differences_figure
from stages.compare.pairing import pair
from stages.compare.settings import CompareSettings, Contrast
from stages.compare.statistics import Level, Verdict, detectable, levels, verdict
from stages.probe.item import Item, read_items
from stages.report.html import figure, page, section, table

log = logging.getLogger(__name__)

Found = list[tuple[Contrast, Verdict]]

HEADINGS = (
    "contrast",
    "seeds",
    "questions",
    "first",
    "second",
    "difference",
    "interval",
    "sd over seeds",
    "p (t)",
    "p (signs)",
    "detectable",
)

LEVELS = ("measure", "arm", "seeds", "questions", "mean", "sd over seeds", "least", "most")


def run(context: StepContext) -> None:
    """Fill ``context.output``."""
    settings: CompareSettings = context.settings
    probes: dict[str, dict[str, list[Item]]] = {}
    for name, given in sorted(context.inputs.items()):
        arm, _, seed = name.rpartition("_")
        probes.setdefault(seed, {})[arm] = list(read_items(given.path / "items.jsonl"))
    rng = np.random.default_rng(settings.seed)
    found: Found = [
        (
            contrast,
            verdict(
                pair(contrast, probes),
                resamples=settings.resamples,
                level=settings.level,
                power=settings.power,
                rng=rng,
            ),
        )
        for contrast in settings.contrasts
    ]
    words = introduction(settings, len(probes))
    _write(context.output, settings, found, levels(probes), words)
    values = _values(found)
    log_metrics(context.metrics_file, {k: v for k, v in values.items() if v is not None}, step=0)
    write_statistics(context.statistics_file, values)


def introduction(settings: CompareSettings, seeds: int) -> str:
    """Say what was expected beforehand, and how the table is to be read."""
    least = detectable(settings.prior_deviation, seeds, settings.level, settings.power)
    expected = ""
    if least:
        expected = (
            f"With {seeds} seeds and a standard deviation over seeds of"
            f" {settings.prior_deviation:.3f}, as expected beforehand, the primary difference (the"
            f" first line) has to be {least:.3f} to be found with a power of {settings.power:.0%}. "
        )
    return (
        f"{expected}first and second are the two sides' means over seeds; the"
        f" {1 - settings.level:.0%} interval is a bootstrap over seeds, then questions; p (t) is"
        " Student's over the seeds' differences, p (signs) the exact test by changes of sign;"
        " detectable is the minimum detectable effect with the spread that was found. p is not"
        " corrected for the number of lines."
    )


def cells(contrast: Contrast, found: Verdict) -> tuple[str, ...]:
    """Return a contrast's line of the table."""

    def number(value: float | None, form: str = ".3f") -> str:
        return "–" if value is None else format(value, form)

    def chance(p: float | None) -> str:
        return "<0.001" if p is not None and p < 0.001 else number(p)

    return (
        contrast.label,
        str(found.seeds),
        str(found.questions),
        number(found.arm),
        number(found.against),
        number(found.difference, "+.3f"),
        f"{found.low:+.3f} … {found.high:+.3f}",
        number(found.deviation),
        chance(found.p_t),
        chance(found.p_signs),
        number(found.detectable),
    )


def level_cells(level: Level) -> tuple[str, ...]:
    """Return a level's line of the table."""
    spread = "–" if level.deviation is None else f"{level.deviation:.3f}"
    counts = (str(level.seeds), str(level.questions))
    values = (f"{level.mean:.3f}", spread, f"{level.least:.3f}", f"{level.most:.3f}")
    return (level.measure, level.arm, *counts, *values)


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown; all columns but the first are set to the right."""
    lines = ["| " + " | ".join(headings) + " |", "|---" + "|---:" * (len(headings) - 1) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _write(
    folder: Path, settings: CompareSettings, found: Found, arms: Sequence[Level], words: str
) -> None:
    svg = differences_figure(found)
    differences = [cells(*each) for each in found]
    measures = [level_cells(level) for level in arms]
    (folder / "comparison.svg").write_text(svg)
    (folder / "comparison.md").write_text(
        f"# {settings.title}\n\n{words}\n\n{markdown(HEADINGS, differences)}\n"
        f"{markdown(LEVELS, measures)}"
    )
    record = {
        "contrasts": [{"contrast": asdict(c), "found": asdict(v)} for c, v in found],
        "levels": [asdict(level) for level in arms],
    }
    (folder / "comparison.json").write_text(json.dumps(record, indent=1) + "\n")
    html = page(
        settings.title,
        f"<p>{words}</p>",
        section("Differences", figure(svg, "differences with intervals")),
        section("Table", table(HEADINGS, differences)),
        section("Measures of each arm", table(LEVELS, measures)),
    )
    (folder / "index.html").write_text(html)


def _values(found: Found) -> dict[str, Any]:
    """Return the numbers that the run's summary and MLflow show."""
    first = found[0][1]
    values: dict[str, Any] = {
        "seeds": first.seeds,
        "primary.difference": first.difference,
        "primary.low": first.low,
        "primary.high": first.high,
        "primary.p": first.p_t,
    }
    for place, (contrast, one) in enumerate(found):
        values[f"{place:02d}.{contrast.arm}.{contrast.measure}"] = one.difference
    return values
