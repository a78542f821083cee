"""A trace as people read it: one row per frame, the values that are new in it, how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from model.comparison import changes
from model.frames import Frame

if TYPE_CHECKING:
    from stages.trace.own_code import OwnTrace

_COLOURS = {"call": "cyan", "line": "dim", "return": "green", "exception": "bold red"}
_BUDGETS = {
    "event-budget": "events",
    "byte-budget": "bytes",
    "call-budget": "calls",
    "time-budget": "seconds",
}


def listing(trace: OwnTrace) -> RenderableType:
    """Return the trace for a `rich` console."""
    frames = [Frame.from_row(row) for row in trace.recording.frames]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name, justify in (("line", "right"), ("event", "left"), ("source", "left")):
        table.add_column(name, justify=justify, no_wrap=name != "source")  # type: ignore[arg-type]
    table.add_column("what is new", overflow="fold")
    in_file = {place: number for number, place in trace.shown.numbers.items()}
    syntax = Syntax("", "python", theme="ansi_dark", background_color="default")
    for frame, news in zip(frames, changes(frames), strict=True):
        source = syntax.highlight(frame.source.rstrip("\n"))
        source.rstrip()
        row = Text.assemble(("│ " * frame.depth, "dim"), source)
        style = _COLOURS[frame.event]
        table.add_row(str(in_file[frame.line]), Text(frame.event, style), row, _news(frame, news))
    head = Text(f"{trace.call}   {trace.file}:{in_file[trace.shown.entry_line]}", "bold")
    return Group(head, Text(), table, Text(), ending(trace))


def _news(frame: Frame, news: Mapping[str, str]) -> Text:
    if frame.unwinding:
        return Text("left by the exception", "dim")
    if frame.value is not None:
        return Text(frame.value, _COLOURS[frame.event])
    text = Text(", ").join(
        Text.assemble((name, "yellow"), " = ", value) for name, value in news.items()
    )
    return text if news else Text("·", "dim")


def ending(trace: OwnTrace) -> Text:
    """Return how the call ended, in one line."""
    recording = trace.recording
    count = f"{len(recording.frames):,} frames"
    if recording.outcome == "return":
        return Text(f"returned {recording.result}   ({count})", "green")
    if recording.outcome == "exception":
        return Text(f"raised {recording.result}   ({count})", "bold red")
    if budget := _BUDGETS.get(recording.outcome):
        return Text(
            f"cut after {count}: the budget of {budget} is spent (--{budget} raises it)", "bold red"
        )
    return Text(f"lost after {count}: the program meddled with tracing or ran out of stack", "red")
