"""A trace as annotated source: the lines in the order in which they ran, what each did beside it.

For people, and for models that read text. What repeats itself is told in short, by the rules of
`stages.trace.renderings.outline`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from model.frames import Frame, Trace
from stages.trace.renderings.outline import Enter, Entry, Fold, Leave, Line, Skip, outline
from stages.trace.renderings.tree import Call

Kind = Literal["call", "line", "return", "exception", "skip"]
GUIDE = "│   "
"""What stands before a row once for each call that it is nested in."""
_COLUMN = 40
_CHARS = 60


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the rendering: how deep in calls, the line in the context (0: none), its source
    without indentation of calls, and what is said of it."""

    kind: Kind
    depth: int
    line: int
    source: str
    note: str


def annotated_rows(trace: Trace) -> list[Row]:
    """Return the rendering row by row; raises `TraceError` for frames that start with no call."""
    rows: list[Row] = []
    indents: list[int] = []
    for entry in outline(trace):
        if isinstance(entry, Enter):
            indents.append(entry.called.indent)
        rows += _rows(entry, indents[-1])
        if isinstance(entry, Leave):
            indents.pop()
    return rows


def annotated(trace: Trace) -> str:
    """Return the rendering as text: source, then ``# `` and what happened.

    A callee stands below the line that calls it, moved to the right.
    """
    return "\n".join(map(row_text, annotated_rows(trace))) + "\n"


def row_text(row: Row) -> str:
    """Return one row as text."""
    source = GUIDE * row.depth + row.source
    return f"{source:<{_COLUMN}}  # {row.note}" if row.note else source


def _rows(entry: Entry, indent: int) -> Iterator[Row]:
    if isinstance(entry, Enter):
        yield _enter(entry)
    elif isinstance(entry, Line):
        frame = entry.item.frame
        kind: Kind = "exception" if entry.item.raised else "return" if entry.end else "line"
        source = frame.source.rstrip()
        own = len(source) - len(source.lstrip())
        yield Row(kind, entry.depth, frame.line, source[min(own, indent) :], _line_note(entry))
    elif isinstance(entry, Fold):
        frame = entry.call.frame
        given = entry.called.kind in ("function", "lambda")
        values = _arguments(entry.call) if given else ""
        note = f"{values} → {_result(entry.call)}".removeprefix(" ")
        if entry.call.frames > 2:
            note += f"   ({entry.call.frames:,} steps)"
        yield Row("call", entry.depth, frame.line, _head(entry), note)
    elif isinstance(entry, Skip):
        yield Row("skip", entry.depth, 0, "", _skip_note(entry))
    elif not entry.call.items or entry.call.end is None:
        yield _leave(entry)


def _enter(entry: Enter) -> Row:
    call, called = entry.call, entry.called
    said = {"function": "called", "generator": "resumed", "class": "its body"}
    values = _arguments(call) if called.kind in ("function", "lambda") else ""
    values = _values(call.sent) if called.resumed else values
    note = ": ".join(filter(None, [said.get(called.kind, ""), values]))
    note = ", ".join(filter(None, [note, *_raised(call.raised)]))
    return Row("call", entry.depth, call.frame.line, _head(entry), note)


def _head(entry: Enter | Fold) -> str:
    """Return what stands for a call: its first line, or its kind where it is a part of a line."""
    if entry.called.kind in ("comprehension", "lambda", "module"):
        return f"<{entry.called.kind}>"
    return entry.call.frame.source.strip()


def _line_note(entry: Line) -> str:
    item = entry.item
    parts = []
    if entry.iteration:
        parts.append(f"pass {entry.iteration}")
    if entry.passes is not None:
        parts.append(f"ends after {entry.passes} {'pass' if entry.passes == 1 else 'passes'}")
    if entry.holds is not None:
        parts.append("true" if entry.holds else "false")
    parts += [_values(item.news)] if item.news else []
    parts += [f"{name} is gone" for name in item.gone]
    parts += _raised(item.raised)
    call = entry.end
    if call is not None and call.failure is not None and not item.raised:
        parts.append(f"{_short(call.failure)} goes on")
    elif call is not None and call.end is not None and not call.end.unwinding:
        parts.append(f"{'yields' if entry.yields else 'returns'} {_short(call.end.value)}")
    return ", ".join(parts)


def _raised(frames: Sequence[Frame]) -> list[str]:
    return [f"raises {_short(frame.value)}" for frame in frames]


def _leave(entry: Leave) -> Row:
    call = entry.call
    if call.end is None:
        return Row("exception", entry.depth, 0, "", "cut here: a budget was spent")
    kind: Kind = "exception" if call.end.unwinding else "return"
    note = _result(call) if call.end.unwinding else f"returns {_result(call)}"
    return Row(kind, entry.depth, call.end.line, call.end.source.strip(), note)


def _skip_note(entry: Skip) -> str:
    news = f": {_values(entry.news)}" if entry.news else ""
    if entry.what == "passes":
        last = entry.first + entry.count - 1
        which = f" {entry.first} to {last}" if entry.first else ""
        return f"… {entry.count:,} passes{which} run no other lines{news}"
    if entry.what == "calls":
        return f"… {entry.count:,} more calls"
    return f"… {entry.count:,} times more{news}"


def _arguments(call: Call) -> str:
    return _values({name: value for name, value in call.frame.locals or () if name != ".0"})


def _result(call: Call) -> str:
    if call.end is None:
        return "cut here"
    if call.end.unwinding:
        return f"raises {_short(call.failure)}"
    return _short(call.end.value)


def _values(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {_short(value)}" for name, value in values.items())


def _short(value: str | None) -> str:
    """Return a value in one line of bounded length."""
    text = " ".join((value or "").splitlines())
    return text if len(text) <= _CHARS else text[: _CHARS - 1] + "…"
