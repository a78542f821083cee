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

from stages.trace.tracer.engine import (
    ENDS_A_LOOP,
    LEAVING,
    RESUME,
    YIELDING,
    Begin,
    Close,
    Files,
    Target,
)
from stages.trace.tracer.recording import Locals, Recording, TraceLimits, TraceStopped
from stages.trace.tracer.rendering import CHANGELESS, render
from stages.trace.tracer.source import MODULE, ShownSource

_CHANGED: Any = object()
RESUMABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_FRAME_BYTES = 24  # what a frame costs beside its source and values


class Engine:
    """Follows one thread between `start` and `stop`; see `stages.trace.tracer.engine`."""

    name = "python"

    def __init__(
        self,
        targets: Mapping[int, Target],
        limits: TraceLimits,
        begin: Begin,
        close: Close,
        files: Files | None = None,
        any_entry: bool = False,
    ) -> None:
        self.limits = limits
        self._targets = targets
        self._begin = begin
        self._when_closed = close
        self._files = files
        self._any_entry = any_entry
        self._settrace: Callable[[Any], None] = sys.settrace
        self._asked: dict[str, ShownSource | None] = {}
        self._shown: ShownSource | None = None
        self._file = ""
        self._open: Recording | None = None
        self._depth = 0
        self._bytes = 0
        self._calls = 0
        self._raised = self._yielded = ""
        self.hook: Any = None

    def start(self) -> None:
        """Trace this thread from here on."""
        self._calls = 0
        self.hook = self._traced
        self._settrace(self._traced)

    def stop(self) -> None:
        """Trace no more; what is still open is lost, but for an entry that waits at a yield."""
        self.untrace()
        self._leave_waiting()
        self._close("lost")

    def untrace(self) -> None:
        """Take the trace function away."""
        self.hook = None
        self._settrace(None)

    def _traced(self, frame: FrameType, event: str, arg: Any) -> _Scope | None:
        try:
            return self._enter(frame, event, arg)
        except BaseException:
            self.hook = None  # CPython drops a trace function that fails
            raise

    def _enter(self, frame: FrameType, event: str, arg: Any) -> _Scope | None:
        code = frame.f_code
        self._calls += 1
        if self._calls > self.limits.calls:
            self._stop("call-budget")
            return None
        scope = frame.f_trace  # a resumed generator still has its own
        if not isinstance(scope, _Scope) or scope.recording is not self._open:
            scope = None
        if self._open is not None and self._depth == 0 and (scope is None or not scope.is_entry):
            if not self._may_begin(code):
                return None
            self._leave_waiting()
        is_entry = self._open is None
        if is_entry and not self._opens(frame, code):
            return None
        shown = self._source(code.co_filename)
        if shown is None or code.co_firstlineno not in shown.numbers:
            return None
        if 0 < self.limits.depth <= self._depth or (code.co_name == MODULE and not is_entry):
            return None
        if scope is None:
            scope = _Scope(self, self._open, shown, code, is_entry)
        scope.depth = self._depth
        scope.raised_at = -1
        self._depth += 1
        self._record_locals(scope, frame, "call")
        return scope

    def _may_begin(self, code: CodeType) -> bool:
        if id(code) in self._targets:
            return True
        if not self._any_entry or self._files is None:
            return False
        shown = self._ask(code.co_filename)
        return shown is not None and code.co_firstlineno in shown.numbers

    def _opens(self, frame: FrameType, code: CodeType) -> bool:
        """Begin a recording if this is a call that one begins with."""
        if not self._may_begin(code):
            return False
        target = self._targets.get(id(code))
        self._open = self._begin(target, frame)
        if self._open is None:
            return False
        self._shown = self._ask(code.co_filename) if target is None else target.shown
        self._file = code.co_filename
        self._depth = self._bytes = 0
        self._raised = ""
        return True

    def _source(self, file: str) -> ShownSource | None:
        """Return what is shown of a file."""
        return self._shown if file == self._file else self._ask(file)

    def _ask(self, file: str) -> ShownSource | None:
        if self._files is None:
            return None
        if file not in self._asked:
            self._asked[file] = self._files(file)
        return self._asked[file]

    def _leave_waiting(self) -> None:
        """End the recording of an entry that waits at a yield, if there is one."""
        if self._open is not None and self._depth == 0:
            self._close("return", self._yielded)

    def _close(self, outcome: str, result: str = "") -> None:
        if self._open is not None:
            self._open = None
            self._when_closed(outcome, result, self._calls)

    def _stop(self, outcome: str) -> None:
        """A budget is spent."""
        self._close(outcome)
        if not self.limits.go_on:
            raise TraceStopped(outcome)
        self.untrace()

    def event(self, scope: _Scope, frame: FrameType, event: str, arg: Any) -> None:
        """Record a line, return or exception of an open scope."""
        if event == "line":
            if frame.f_lineno in scope.shown.numbers:
                scope.raised_at = -1
                self._record_locals(scope, frame, event)
        elif event == "exception":
            if not (issubclass(arg[0], StopIteration) and _operation(frame) in ENDS_A_LOOP):
                scope.raised_at = frame.f_lasti
                self._raised = self._record_value(scope, frame, event, arg[1], unwinding=False)
        elif event == "return":
            unwinding = arg is None and _is_unwinding(scope, frame)
            text = self._record_value(scope, frame, event, arg, unwinding=unwinding)
            self._depth -= 1
            if self._open is not None and self._depth == 0:
                if not unwinding and frame.f_code.co_flags & RESUMABLE and _yields(frame):
                    self._yielded = text
                else:
                    self._close(*("exception", self._raised) if unwinding else ("return", text))

    def _record_locals(self, scope: _Scope, frame: FrameType, event: str) -> None:
        size = scope.place(frame.f_lineno)
        shown, spent = scope.snapshot(frame, self.limits)
        if self._spend(size + spent) and self._open is not None:
            self._open.steps.append((event, scope.line, shown, None, False, scope.depth))

    def _record_value(
        self, scope: _Scope, frame: FrameType, event: str, value: Any, *, unwinding: bool
    ) -> str:
        size = scope.place(frame.f_lineno)
        text = render(value, self.limits.value_chars, self.limits.attributes)
        if self._spend(size + len(text)) and self._open is not None:
            self._open.steps.append((event, scope.line, None, text, unwinding, scope.depth))
        return text

    def _spend(self, size: int) -> bool:
        """Count a frame; say whether it may be shown."""
        if self._open is None:  # a signal handler, while a value was rendered, has ended it
            return False
        self._bytes += size
        if len(self._open.steps) >= self.limits.events:
            self._stop("event-budget")
            return False
        if self._bytes > self.limits.bytes:
            self._stop("byte-budget")
            return False
        return True

    def is_open(self, recording: Recording | None) -> bool:
        """Say whether ``recording`` is the one in the making."""
        return recording is not None and recording is self._open


class _Scope:
    """A function's frame while it is traced: CPython calls it at every line, return, exception."""

    __slots__ = (
        *("_engine", "_first", "_seen"),
        *("depth", "is_entry", "line", "raised_at", "recording", "shown"),
    )

    def __init__(
        self,
        engine: Engine,
        recording: Recording | None,
        shown: ShownSource,
        code: CodeType,
        is_entry: bool,
    ) -> None:
        self._engine = engine
        self._first = code.co_firstlineno
        self._seen: dict[str, tuple[Any, str]] = {}
        self.recording = recording
        self.shown = shown
        self.is_entry = is_entry
        self.depth = 0
        self.line = shown.numbers[self._first]
        self.raised_at = -1

    def __call__(self, frame: FrameType, event: str, arg: Any) -> _Scope | None:
        if not self._engine.is_open(self.recording):
            return None
        try:
            self._engine.event(self, frame, event, arg)
        except BaseException:
            self._engine.hook = None
            raise
        return self

    def place(self, line: int | None) -> int:
        """Note the line that is shown; return the bytes that a frame there takes."""
        if line is not None:
            if line == self._first:
                line = self.shown.definitions.get(line, line)
            self.line = self.shown.numbers.get(line, self.line)
        return _FRAME_BYTES + len(self.shown.text[self.line - 1])

    def snapshot(self, frame: FrameType, limits: TraceLimits) -> tuple[Locals, int]:
        """Return every local as text, and how many bytes a line that shows the changes takes."""
        seen, shown, size = self._seen, [], 0
        in_class = not frame.f_code.co_flags & inspect.CO_OPTIMIZED
        # a name that is free and the variable of a comprehension too comes twice among the items
        found = frame.f_locals if in_class else dict(frame.f_locals)
        for name, value in list(found.items()):
            if type(name) is not str:
                continue  # a class body may write such into its namespace
            if name[:2] == "__" and (in_class or name == "__class__"):
                continue
            if name[:1] == "@":
                continue  # what pytest makes of an assert
            before = seen.get(name)
            size += len(name) + 6
            if before is not None and before[0] is value:
                text = before[1]
                size += 2
            else:
                text = render(value, limits.value_chars, limits.attributes)
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


def _operation(frame: FrameType, *, leaves: bool = False) -> int:
    """Return the opcode at which ``frame`` stands; asking a code object each time costs more.

    From Python 3.13 on a frame that ``leaves`` at a yield stands behind it already.
    """
    code = _CODE.get(frame.f_code)
    if code is None:
        code = _CODE[frame.f_code] = frame.f_code.co_code
    place = frame.f_lasti
    if leaves and place >= 2 and code[place] == RESUME and code[place - 2] in YIELDING:
        place -= 2
    return code[place]


def _is_unwinding(scope: _Scope, frame: FrameType) -> bool:
    """Say whether a return of None is an exception on its way out.

    The opcode says so, but for what is thrown into a generator: that is raised by the ``yield``.
    """
    operation = _operation(frame, leaves=True)
    if operation not in LEAVING:
        return True
    return operation in YIELDING and scope.raised_at == frame.f_lasti


def _yields(frame: FrameType) -> bool:
    return _operation(frame, leaves=True) in YIELDING
