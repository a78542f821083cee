"""Traces on a terminal: annotated source, or one row per frame with the values that are new."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from model.comparison import changes
from model.frames import Frame
from stages.trace.renderings.annotated import GUIDE, annotated_rows

if TYPE_CHECKING:
    from stages.trace.own_code import OwnTrace

_COLOURS = {
    "call": "cyan",
    "line": "none",
    "return": "green",
    "exception": "bold red",
    "skip": "italic dim",
}
_BUDGETS = {
    "event-budget": "events",
    "byte-budget": "bytes",
    "call-budget": "calls",
    "time-budget": "seconds",
}


def annotated_table(trace: OwnTrace, limit: int, width: int) -> RenderableType:
    """Return what happened beside the lines, in the order in which they ran.

    At most ``limit`` rows, 0 for all of them, for a console ``width`` characters wide; the same
    holds for `listing`.
    """
    table, source_of = _table(width, "line", "source", "what happened"), _highlighter()
    in_file = _numbers(trace)
    rows = annotated_rows(trace.trace)
    for row in rows[: limit or None]:
        source = Text.assemble((GUIDE * row.depth, "dim"), source_of(row.source))
        note = Text(row.note, _COLOURS[row.kind])
        table.add_row(str(in_file.get(row.line, "")), source, note)
    return _page(trace, table, len(rows), limit)


def listing(trace: OwnTrace, limit: int, width: int) -> RenderableType:
    """Return every frame, with the values that are new in it."""
    frames = trace.trace.frames
    table, source_of = _table(width, "line", "event", "source", "what is new"), _highlighter()
    in_file = _numbers(trace)
    rows = list(zip(frames, changes(frames), strict=True))
    for frame, news in rows[: limit or None]:
        source = Text.assemble(("│ " * frame.depth, "dim"), source_of(frame.source.rstrip()))
        event = Text(frame.event, _COLOURS[frame.event])
        table.add_row(str(in_file[frame.line]), event, source, _news(frame, news))
    return _page(trace, table, len(rows), limit)


def _page(trace: OwnTrace, table: Table, rows: int, limit: int) -> RenderableType:
    head = Text(f"{trace.call}   {trace.file}:{_numbers(trace)[trace.shown.entry_line]}", "bold")
    parts: list[RenderableType] = [head, Text(), table, Text()]
    if 0 < limit < rows:
        left = Text(f"… {rows - limit:,} more rows: --limit 0 shows all", "italic")
        parts += [left, Text()]
    return Group(*parts, ending(trace))


def _table(width: int, *names: str) -> Table:
    """Return a table whose last column folds; source that leaves it no room is cut short."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in names[:-1]:
        right = "right" if name == "line" else "left"
        most = width * 3 // 5 if name == "source" else None
        table.add_column(name, justify=right, no_wrap=True, overflow="ellipsis", max_width=most)  # type: ignore[arg-type]
    table.add_column(names[-1], overflow="fold")
    return table


def _highlighter() -> Callable[[str], Text]:
    syntax = Syntax("", "python", theme="ansi_dark", background_color="default")

    def highlight(source: str) -> Text:
        text = syntax.highlight(source)
        text.rstrip()
        return text

    return highlight


def _numbers(trace: OwnTrace) -> dict[int, int]:
    """Return the line of the file for each line of the context."""
    return {place: number for number, place in trace.shown.numbers.items()}


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
    """Return how the call ended, in one line, and in another whether it meddled with tracing."""
    text = _ended(trace)
    if trace.recording.tampered:
        text += Text("\nit called what is locked while it is traced, such as sys.settrace", "red")
    return text


def _ended(trace: OwnTrace) -> Text:
    recording = trace.recording
    count = f"{len(recording.steps):,} frames"
    if recording.outcome == "return":
        what = "ran to its end" if trace.is_program else f"returned {recording.result}"
        return Text(f"{what}   ({count})", "green")
    if recording.outcome == "exception":
        left = trace.is_program and recording.result.startswith("SystemExit(")
        what, style = ("ended by", "green") if left else ("raised", "bold red")
        return Text(f"{what} {recording.result}   ({count})", style)
    if budget := _BUDGETS.get(recording.outcome):
        return Text(
            f"cut after {count}: the budget of {budget} is spent (--{budget} raises it)", "bold red"
        )
    return Text(f"lost after {count}: the program meddled with tracing or ran out of stack", "red")
