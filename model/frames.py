"""Frames of an execution, and what a trace shows of them.

A recorded `Frame` holds every local in full. A `Step` shows less: a value that its variable already
had in the previous frame of the same scope is written ``".."``. `diff` goes from frames to steps,
`resolve` back, both with a stack of scopes; `resolve` gives exactly what was recorded.

All locals are shown in full by a call, by the first frame after a return into its caller, and by
the first frame of an episode that starts in mid-trace. So the text alone says what every ``".."``
stands for, whatever was called in between. A generator or coroutine needs nothing more: each resume
is a call and each yield a return, which makes any order of resumes a well-nested sequence; what it
kept over a yield is shown again when it goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Event = Literal["call", "line", "return", "exception"]
EVENTS: tuple[Event, ...] = ("call", "line", "return", "exception")
Locals = tuple[tuple[str, str], ...]

UNCHANGED = ".."

_LIKE_UNCHANGED = re.compile(r"<*\.\.>*")
_BRACKETED = re.compile(r"<+\.\.>+")


class TraceError(ValueError):
    """Frames that the grammar cannot express; says which frame and why."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One event as recorded: the row of `stages.tables.FRAME`.

    ``source`` is the physical line, indented and ended by a newline as every line of a trace is.
    ``locals`` holds (name, repr) of every local, in full, None for returns and exceptions;
    ``value`` is the repr of what was returned or raised, None for calls and lines. ``line`` counts
    from 1 in the context.
    """

    event: Event
    source: str
    locals: Locals | None = None
    value: str | None = None
    line: int = 0
    unwinding: bool = False
    depth: int = 0

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Frame:
        """Make a frame of a table's row."""
        found = row["locals"]
        return cls(
            event=row["event"],
            source=row["source"],
            locals=None if found is None else tuple((v["name"], v["value"]) for v in found),
            value=row["value"],
            line=row["line"],
            unwinding=row["unwinding"],
            depth=row["depth"],
        )

    def to_row(self) -> dict[str, Any]:
        """Return the frame as a row of `stages.tables.FRAME`."""
        shown = self.locals
        return {
            "event": self.event,
            "line": self.line,
            "source": self.source,
            "locals": None if shown is None else [{"name": n, "value": v} for n, v in shown],
            "value": self.value,
            "unwinding": self.unwinding,
            "depth": self.depth,
        }


@dataclass(frozen=True, slots=True)
class Trace:
    """A context (source text, its entry line marked) and what happened when it ran.

    ``whole`` is False for an episode whose last frame does not leave the scope of its first.
    """

    context: str
    frames: tuple[Frame, ...]
    whole: bool = True

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Trace:
        """Make a trace of a row of `stages.tables.TRACES`."""
        frames = tuple(Frame.from_row(frame) for frame in row["frames"])
        return cls(row["context"], frames, whole=leaves_scope(frames))


@dataclass(frozen=True, slots=True)
class Step:
    """One frame as the grammar shows it: ``".."`` stands for a local that did not change."""

    event: Event
    source: str
    locals: Locals | None = None
    value: str | None = None


class Scopes:
    """The stack of scopes that gives ``".."`` its meaning; one object per sequence of frames.

    A repr that is literally ``".."`` would read as "unchanged": it is shown as ``"<..>"``, and what
    looks like that with one more pair of brackets.
    """

    def __init__(self) -> None:
        self._stack: list[dict[str, str]] = []

    def diff(self, frame: Frame) -> Step:
        """Return ``frame`` as shown after the frames given before it."""
        if frame.event in ("return", "exception"):
            if frame.value is None:
                raise TraceError(f"a {frame.event} frame at line {frame.line} has no value")
            self._leave(frame.event)
            return Step(frame.event, frame.source, value=frame.value)
        if frame.locals is None:
            raise TraceError(f"a {frame.event} frame at line {frame.line} has no locals")
        full = dict(frame.locals)
        if len(full) != len(frame.locals):
            raise TraceError(f"a {frame.event} frame at line {frame.line} names a local twice")
        base = self._base(frame.event)
        self._stack[-1] = full
        shown = ((n, UNCHANGED if base.get(n) == v else _bracket(v)) for n, v in full.items())
        return Step(frame.event, frame.source, locals=tuple(shown))

    def resolve(self, step: Step) -> Step:
        """Return ``step`` with full values; a ``".."`` that nothing precedes stays as it is."""
        if step.locals is None:
            self._leave(step.event)
            return step
        base = self._base(step.event)
        full = {n: base.get(n, v) if v == UNCHANGED else _unbracket(v) for n, v in step.locals}
        self._stack[-1] = full
        return Step(step.event, step.source, locals=tuple(full.items()))

    def _base(self, event: Event) -> dict[str, str]:
        if event == "call" or not self._stack:
            self._stack.append({})
        return self._stack[-1]

    def _leave(self, event: Event) -> None:
        if event == "return" and self._stack:
            self._stack.pop()
            if self._stack:
                self._stack[-1] = {}  # the caller is shown in full again


def _bracket(value: str) -> str:
    return f"<{value}>" if UNCHANGED in value and _LIKE_UNCHANGED.fullmatch(value) else value


def _unbracket(value: str) -> str:
    return value[1:-1] if UNCHANGED in value and _BRACKETED.fullmatch(value) else value


def leaves_scope(steps: Iterable[Frame | Step]) -> bool:
    """Say whether the last step, and none before it, leaves the scope of the first."""
    depth, left = 0, False
    for number, step in enumerate(steps):
        if left:
            return False
        depth += step.event == "call" or number == 0
        depth -= step.event == "return"
        left = depth == 0
    return left


def diff(frames: Iterable[Frame]) -> list[Step]:
    """Return the frames as the grammar shows them.

    Raises `TraceError` on a frame without the locals or the value that its event has.
    """
    scopes = Scopes()
    return [scopes.diff(frame) for frame in frames]


def resolve(steps: Iterable[Step]) -> list[Step]:
    """Replace every ``".."`` by the value it stands for, with a stack of scopes.

    What `diff` gave comes back as it was recorded. In what a model wrote, a ``".."`` may stand for
    nothing: it stays.
    """
    scopes = Scopes()
    return [scopes.resolve(step) for step in steps]
