"""The report's figures, as SVG text that reads well on a light and on a dark page."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.report.curves import Curve, smooth, thin

_INK = "#7a7f87"  # readable on white and on black
_COLOURS = ("#3b82c4", "#d9822b", "#3f9b6c", "#b5539c", "#8a6fc9", "#b0a02f")
_STYLE = {
    "svg.hashsalt": "report",  # the same figure gives the same bytes
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_POINTS = 300  # per curve in a figure


def curves_figure(curves: Sequence[Curve], label: str) -> str | None:
    """Return one panel per step with its curves, raw faint and smoothed; None without curves."""
    curves = [curve for curve in curves if curve.x]
    steps = list(dict.fromkeys(curve.step for curve in curves))
    if not steps:
        return None
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.2 * max(len(steps), 2), 2.8), layout="constrained")
        panels = figure.subplots(1, len(steps), squeeze=False)[0]
        for panel, step in zip(panels, steps, strict=True):
            for place, curve in enumerate(c for c in curves if c.step == step):
                _draw_curve(panel, curve, _COLOURS[place % len(_COLOURS)])
            panel.set_title(step)
            panel.set_xlabel("step")
            panel.legend(frameon=False, fontsize=7)
        panels[0].set_ylabel(label)
        return _svg(figure)


def _draw_curve(panel: Axes, curve: Curve, colour: str) -> None:
    raw = thin(curve, _POINTS)
    if len(curve.x) < 20:
        panel.plot(raw.x, raw.y, color=colour, label=curve.name, marker=".")
        return
    window = max(2, len(curve.x) // 25)
    mean = thin(Curve(curve.step, curve.name, curve.x, smooth(curve.y, window)), _POINTS)
    panel.plot(raw.x, raw.y, color=colour, alpha=0.25, linewidth=0.8)
    panel.plot(mean.x, mean.y, color=colour, label=f"{curve.name} (mean of {window})")


def metrics_figure(checkpoints: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Return one panel per metric: its value at each checkpoint, with two standard errors."""
    rows = [row for row in rows if row["scores"]]
    if not rows:
        return None
    columns = min(4, len(rows))
    lines = math.ceil(len(rows) / columns)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(2.6 * columns, 2.1 * lines), layout="constrained")
        panels = figure.subplots(lines, columns, squeeze=False).ravel()
        for panel, row in zip(panels, rows, strict=False):
            _draw_metric(panel, checkpoints, row)
        for panel in panels[len(rows) :]:
            panel.set_visible(False)
        return _svg(figure)


def _draw_metric(panel: Axes, checkpoints: Sequence[str], row: Mapping[str, Any]) -> None:
    scores = [(i, row["scores"][c]) for i, c in enumerate(checkpoints) if c in row["scores"]]
    panel.errorbar(
        [i for i, _ in scores],
        [score["value"] for _, score in scores],
        yerr=[2 * (score["se"] or 0.0) for _, score in scores],
        color=_COLOURS[0],
        marker="o",
        markersize=4,
        capsize=3,
    )
    for name, value in row["baselines"].items():
        panel.axhline(value, color=_COLOURS[1], linestyle="--", linewidth=1)
        panel.annotate(
            name,
            (0.98, value),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=6,
            color=_COLOURS[1],
        )
    panel.set_title(f"{row['name']} ({row['better']} is better)", fontsize=7)
    panel.set_xticks(range(len(checkpoints)), checkpoints, fontsize=7)
    panel.set_xlim(-0.4, len(checkpoints) - 0.6)


def funnel_figure(funnels: Sequence[Mapping[str, Any]]) -> str | None:
    """Return one bar per step: the rows kept, then those dropped by reason, as shares of all."""
    funnels = [f for f in funnels if sum(f["kept"].values()) + sum(f["dropped"].values())]
    if not funnels:
        return None
    reasons = list(dict.fromkeys(reason for funnel in funnels for reason in funnel["dropped"]))
    palette = mpl.colormaps["tab20"].colors  # type: ignore[attr-defined]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8.5, 0.55 * len(funnels) + 1.4), layout="constrained")
        panel = figure.subplots()
        for line, funnel in enumerate(funnels):
            total = sum(funnel["kept"].values()) + sum(funnel["dropped"].values())
            left = sum(funnel["kept"].values()) / total
            panel.barh(line, left, color=_COLOURS[2])
            for reason, count in funnel["dropped"].items():
                colour = palette[reasons.index(reason) % len(palette)]
                panel.barh(line, count / total, left=left, color=colour, alpha=0.75)
                left += count / total
        panel.barh(0, 0, color=_COLOURS[2], label="kept")
        for place, reason in enumerate(reasons):
            panel.barh(0, 0, color=palette[place % len(palette)], alpha=0.75, label=reason)
        panel.set_yticks(range(len(funnels)), [funnel["step"] for funnel in funnels])
        panel.invert_yaxis()
        panel.set_xlabel("share of the rows")
        figure.legend(loc="outside right upper", frameon=False, fontsize=7)
        return _svg(figure)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()
