"""The tracing engine in Python: what a trace is, to read, and what runs where there is no compiler.

The engine in ``native/`` does the same, byte for byte. Where the two can differ, this one cannot do
better:

* at the recursion limit the trace function itself finds no stack left and CPython drops it: the
  trace is lost, where the one in C shows every level;
* up to Python 3.12 CPython keeps the locals that it made for a trace function until the next event:
  an object whose last name is rebound is finalised there, unseen, and not where the program did it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from types import CodeType, FrameType
from typing import Any

from stages.trace.tracer.engine import ENDS_A_LOOP, LEAVING, YIELDING, Begin, Close, Target
from stages.trace.tracer.recording import Locals, Recording, TraceLimits, TraceStopped
from stages.trace.tracer.rendering import CHANGELESS, render
from stages.trace.tracer.source import ShownSource

_CHANGED: Any = object()
_FRAME_BYTES = 24  # what a frame costs beside its source and values


class Engine:
    """Follows one thread between `start` and `stop`; see `stages.trace.tracer.engine`."""

    name = "python"

    def __init__(
        self, targets: Mapping[int, Target], limits: TraceLimits, begin: Begin, close: Close
    ) -> None:
        self.limits = limits
        self._targets = targets
        self._begin = begin
        self._when_closed = close
        self._settrace: Callable[[Any], None] = sys.settrace
        self._shown: ShownSource | None = None
        self._file = ""
        self._open: Recording | None = None
        self._depth = 0
        self._bytes = 0
        self._calls = 0
        self._raised = ""

    def start(self) -> None:
        """Trace this thread from here on."""
        self._calls = 0
        self._settrace(self._enter)

    def stop(self) -> None:
        """Trace no more; what is still open is lost."""
        self._settrace(None)
        self._close("lost")

    def _enter(self, frame: FrameType, event: str, arg: Any) -> _Scope | None:
        code = frame.f_code
        self._calls += 1
        if self._calls > self.limits.calls:
            self._stop("call-budget")
        if self._open is None:
            target = self._targets.get(id(code))
            if target is None:
                return None
            self._open = self._begin(target, frame)
            if self._open is None:
                return None
            self._shown, self._file = target.shown, code.co_filename
            self._depth = self._bytes = 0
            self._raised = ""
        shown = self._shown
        assert shown is not None
        if code.co_filename != self._file or code.co_firstlineno not in shown.numbers:
            return None
        scope = frame.f_trace  # a resumed generator still has its own
        if not isinstance(scope, _Scope) or scope.recording is not self._open:
            scope = _Scope(self, self._open)
        scope.depth = self._depth
        scope.raised_at = -1
        self._depth += 1
        line = frame.f_lineno
        if line == code.co_firstlineno:
            line = shown.definitions.get(line, line)
        self._record_locals(scope, frame, "call", line)
        return scope

    def _close(self, outcome: str, result: str = "") -> None:
        if self._open is not None:
            self._open = None
            self._when_closed(outcome, result, self._calls)

    def _stop(self, outcome: str) -> None:
        self._close(outcome)
        raise TraceStopped(outcome)

    def event(self, scope: _Scope, frame: FrameType, event: str, arg: Any) -> None:
        """Record a line, return or exception of an open scope."""
        assert self._shown is not None
        if event == "line":
            if frame.f_lineno in self._shown.numbers:
                scope.raised_at = -1
                self._record_locals(scope, frame, event, frame.f_lineno)
        elif event == "exception":
            if not (issubclass(arg[0], StopIteration) and _operation(frame) in ENDS_A_LOOP):
                scope.raised_at = frame.f_lasti
                self._raised = self._record_value(scope, frame, event, arg[1], unwinding=False)
        elif event == "return":
            unwinding = arg is None and _is_unwinding(scope, frame)
            text = self._record_value(scope, frame, event, arg, unwinding=unwinding)
            self._depth -= 1
            if self._depth == 0:
                self._close(*("exception", self._raised) if unwinding else ("return", text))

    def _record_locals(self, scope: _Scope, frame: FrameType, event: str, line: int | None) -> None:
        number, size = self._place(scope, line)
        shown, spent = scope.snapshot(frame, self.limits.value_chars)
        self._spend(size + spent)
        assert self._open is not None
        self._open.steps.append((event, number, shown, None, False, scope.depth))

    def _record_value(
        self, scope: _Scope, frame: FrameType, event: str, value: Any, *, unwinding: bool
    ) -> str:
        number, size = self._place(scope, frame.f_lineno)
        text = render(value, self.limits.value_chars)
        self._spend(size + len(text))
        assert self._open is not None
        self._open.steps.append((event, number, None, text, unwinding, scope.depth))
        return text

    def _place(self, scope: _Scope, line: int | None) -> tuple[int, int]:
        """Return the number of the line that is shown, and the bytes that a frame there takes."""
        assert self._shown is not None
        number = self._shown.numbers.get(line or 0, scope.line)
        scope.line = number
        return number, _FRAME_BYTES + len(self._shown.text[number - 1])

    def _spend(self, size: int) -> None:
        """Count a frame; raise `TraceStopped` when it is one too many."""
        assert self._open is not None
        self._bytes += size
        if len(self._open.steps) >= self.limits.events:
            self._stop("event-budget")
        if self._bytes > self.limits.bytes:
            self._stop("byte-budget")

    def is_open(self, recording: Recording | None) -> bool:
        """Say whether ``recording`` is the one in the making."""
        return recording is not None and recording is self._open


class _Scope:
    """A function's frame while it is traced: CPython calls it at every line, return, exception."""

    __slots__ = ("_engine", "_seen", "depth", "line", "raised_at", "recording")

    def __init__(self, engine: Engine, recording: Recording | None) -> None:
        self._engine = engine
        self._seen: dict[str, tuple[Any, str]] = {}
        self.recording = recording
        self.depth = 0
        self.line = 1
        self.raised_at = -1

    def __call__(self, frame: FrameType, event: str, arg: Any) -> _Scope | None:
        if not self._engine.is_open(self.recording):
            return None
        self._engine.event(self, frame, event, arg)
        return self

    def snapshot(self, frame: FrameType, budget: int) -> tuple[Locals, int]:
        """Return every local as text, and how many bytes a line that shows the changes takes."""
        seen, shown, size = self._seen, [], 0
        in_class = not frame.f_code.co_flags & inspect.CO_OPTIMIZED
        for name, value in list(frame.f_locals.items()):
            if type(name) is not str:
                continue  # a class body may write such into its namespace
            if name[:2] == "__" and (in_class or name == "__class__"):
                continue
            before = seen.get(name)
            size += len(name) + 6
            if before is not None and before[0] is value:
                text = before[1]
                size += 2
            else:
                text = render(value, budget)
                # only what cannot change is recognised by identity, and is kept alive for that
                known = value if type(value) in CHANGELESS else _CHANGED
                if before is not None and before[1] == text:
                    text = before[1]
                    size += 2
                else:
                    size += len(text)
                seen[name] = (known, text)
            shown += [name, text]
        return tuple(shown), size


_CODE: dict[CodeType, bytes] = {}


def _operation(frame: FrameType) -> int:
    """Return the opcode at which ``frame`` stands; asking a code object each time costs more."""
    code = _CODE.get(frame.f_code)
    if code is None:
        code = _CODE[frame.f_code] = frame.f_code.co_code
    return code[frame.f_lasti]


def _is_unwinding(scope: _Scope, frame: FrameType) -> bool:
    """Say whether a return of None is an exception on its way out.

    The opcode says so, but for what is thrown into a generator: that is raised by the ``yield``.
    """
    operation = _operation(frame)
    if operation not in LEAVING:
        return True
    return operation in YIELDING and scope.raised_at == frame.f_lasti
