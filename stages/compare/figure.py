"""The plot of a comparison: each contrast's difference with its interval, and every seed's."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from stages.compare.settings import Contrast
from stages.compare.statistics import Verdict

_INK, _GOOD, _BAD, _OPEN = "#7a7f87", "#3f9b6c", "#d1453b", "#3b82c4"
_STYLE = {
    "svg.hashsalt": "compare",  # the same figure gives the same bytes
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def differences_figure(found: Sequence[tuple[Contrast, Verdict]]) -> str:
    """Return an SVG: one line per contrast; green is better, red worse, blue neither for sure."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8, 0.9 + 0.32 * len(found)), layout="constrained")
        axes = figure.subplots()
        for place, (contrast, verdict) in enumerate(found):
            colour = _colour(contrast, verdict)
            axes.plot([verdict.low, verdict.high], [place, place], color=colour, linewidth=2)
            axes.plot(verdict.difference, place, "o", color=colour, markersize=6)
            axes.plot(verdict.by_seed, [place] * verdict.seeds, "|", color=_INK, markersize=8)
        axes.axvline(0.0, color=_INK, linewidth=0.8, linestyle="--")
        axes.set_yticks(range(len(found)), [contrast.label for contrast, _ in found])
        axes.invert_yaxis()
        axes.set_xlabel("difference: mean, interval, and each seed's")
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _colour(contrast: Contrast, verdict: Verdict) -> str:
    if verdict.low <= 0 <= verdict.high:
        return _OPEN
    return _GOOD if (verdict.difference > 0) == (contrast.better == "higher") else _BAD
