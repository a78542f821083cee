"""A trace as a tree: calls, their lines, and the calls that each line made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from model.frames import Frame, TraceError


@dataclass(slots=True, eq=False)
class Item:
    """A line event and what came of it: calls, exceptions, and the locals that follow.

    ``after`` is the next frame of the scope that shows locals; None when the scope is left first.
    """

    frame: Frame
    calls: list[Call] = field(default_factory=list)
    raised: list[Frame] = field(default_factory=list)
    after: Frame | None = None

    @property
    def news(self) -> dict[str, str]:
        """The locals that are new or differ after the line."""
        if self.after is None:
            return {}
        before = dict(self.frame.locals or ())
        return {name: v for name, v in self.after.locals or () if before.get(name) != v}

    @property
    def gone(self) -> list[str]:
        """The locals that are no longer there after the line."""
        if self.after is None:
            return []
        left = dict(self.after.locals or ())
        return [name for name, _ in self.frame.locals or () if name not in left]


@dataclass(slots=True, eq=False)
class Call:
    """A call, or the resumption of a generator; ``end`` is its return, None when cut.

    ``calls`` and ``raised`` are calls and exceptions before its first line, ``frames`` counts its
    frames and those of its callees, ``lines`` is a set of their line numbers as bits.
    """

    frame: Frame
    items: list[Item] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    raised: list[Frame] = field(default_factory=list)
    end: Frame | None = None
    frames: int = 1
    lines: int = 0

    @property
    def sent(self) -> dict[str, str]:
        """The locals that changed before the first line: what a resumed generator was sent."""
        before = dict(self.frame.locals or ())
        now = self.items[0].frame.locals if self.items else ()
        return {name: value for name, value in now or () if before.get(name) != value}

    @property
    def failure(self) -> str | None:
        """The exception that left the call, None where none did."""
        if self.end is None or not self.end.unwinding:
            return None
        last = [frame for item in self.items for frame in item.raised] or self.raised
        return last[-1].value if last else None


def trees(frames: Sequence[Frame]) -> list[Call]:
    """Return the outermost calls: one, or of a generator as the entry one for each time it ran.

    Raises `TraceError` unless ``frames`` start with a call and nothing else stands outside of one.
    """
    roots: list[Call] = []
    running: list[Call] = []
    for frame in frames:
        if frame.event == "call":
            _enter(Call(frame), running, roots)
            continue
        if not running:
            raise TraceError(f"a {frame.event} frame at line {frame.line} is in no call")
        scope = running[-1]
        scope.frames += 1
        if frame.event == "line":
            if scope.items:
                scope.items[-1].after = frame
            scope.items.append(Item(frame))
            scope.lines |= 1 << frame.line
        elif frame.event == "exception":
            (scope.items[-1].raised if scope.items else scope.raised).append(frame)
        else:
            scope.end = frame
            _leave(running)
    while running:
        _leave(running)
    if not roots:
        raise TraceError("there are no frames")
    return roots


def suspends(frames: Sequence[Frame]) -> bool:
    """Say whether the entry is a generator or coroutine that was left and went on."""
    depth = 0
    for number, frame in enumerate(frames, 1):
        depth += (frame.event == "call") - (frame.event == "return")
        if depth <= 0 and number < len(frames):
            return True
    return False


def _enter(call: Call, running: list[Call], roots: list[Call]) -> None:
    if running:
        scope = running[-1]
        (scope.items[-1].calls if scope.items else scope.calls).append(call)
    else:
        roots.append(call)
    running.append(call)


def _leave(running: list[Call]) -> None:
    left = running.pop()
    if running:
        running[-1].frames += left.frames
        running[-1].lines |= left.lines
