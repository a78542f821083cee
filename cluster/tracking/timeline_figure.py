"""The timeline of steps as a figure: seconds per step, phase on phase.

Apart from `cluster.tracking.timeline` because matplotlib takes its time to import.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cluster.tracking.timeline import Timeline

_COLOURS = ("#b0a02f", "#3b82c4", "#d9822b", "#3f9b6c", "#b5539c", "#8a6fc9")
_INK = "#7a7f87"  # readable on white and on black
_POINTS = 300  # most columns


def draw(panel: Axes, timeline: Timeline) -> None:
    """Draw seconds per step, the phases on top of one another."""
    stride = -(-len(timeline.steps) // _POINTS)
    ends = timeline.steps[stride - 1 :: stride] or timeline.steps[-1:]
    starts = [0, *ends[:-1]]
    heights = {}
    for phase, values in timeline.seconds.items():
        sums = [sum(values[i : i + stride]) for i in range(0, stride * len(ends), stride)]
        heights[phase] = [
            total / (end - start) for total, start, end in zip(sums, starts, ends, strict=True)
        ]
    below = [0.0] * len(ends)
    for place, (phase, height) in enumerate(heights.items()):
        tops = [low + more for low, more in zip(below, height, strict=True)]
        colour = _COLOURS[place % len(_COLOURS)]
        panel.stairs(tops, [0, *ends], baseline=below, fill=True, color=colour, label=phase)
        below = tops
    panel.set_xlabel("step")
    panel.set_ylim(0, 1.5 * max(*below, 1e-9))  # room for the legend
    panel.legend(frameon=False, fontsize=7, ncols=2, loc="upper left")


def timeline_figure(timelines: Mapping[str, Timeline]) -> str:
    """Return one panel per name as SVG text."""
    style = {"font.size": 9, "svg.hashsalt": "timeline", "text.color": _INK}
    inked = ("axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    with mpl.rc_context(style | dict.fromkeys(inked, _INK)):
        figure = Figure(figsize=(3.2 * max(len(timelines), 2), 2.8), layout="constrained")
        panels = figure.subplots(1, len(timelines), squeeze=False)[0]
        for panel, (name, timeline) in zip(panels, timelines.items(), strict=True):
            draw(panel, timeline)
            panel.set_title(name)
            panel.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel("seconds per step")
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()
