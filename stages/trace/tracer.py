"""The tracer: what a function did, line by line, as `stages.tables.FRAME` rows.

CPython's trace function sees every call, line, return and exception. Only code within the shown
source is recorded; everything else is stepped over. The rules where CPython leaves a choice:

* a decorated function's call shows its ``def`` line;
* every local is recorded in full at calls and lines, names of a class body's machinery left out;
* a ``return`` event that is an exception passing through has ``unwinding`` set: the opcode says so;
* a ``StopIteration`` that merely ends a ``for`` or a ``yield from`` is CPython's affair: no frame;
* a generator's scope survives a yield; each resume is a call, each yield a return;
* budgets end a trace cleanly: the frames so far, and an outcome that says which budget.

The module runs in the sandbox, beside the program: nothing here is safe from a program that means
harm, but one that meddles with tracing is noticed and its trace is ``lost``.
"""

from __future__ import annotations

import inspect
import opcode
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from stages.trace.arguments import argument_source
from stages.trace.recording import Recording, TraceLimits, TraceStopped
from stages.trace.rendering import ATOMIC, render
from stages.trace.source import ShownSource, whole_source

__all__ = ["Recording", "Target", "TraceLimits", "TraceStopped", "Tracer", "trace_source"]

_LEAVING = frozenset({"RETURN_VALUE", "RETURN_CONST", "YIELD_VALUE", "RETURN_GENERATOR"})
_ENDS_A_LOOP = frozenset({"FOR_ITER", "SEND", "YIELD_FROM"})
_CHANGED: Any = object()
_FRAME_BYTES = 24  # what a frame costs beside its source and values


@dataclass(frozen=True, slots=True)
class Target:
    """A function whose calls are recorded, and the source they are shown in."""

    name: str
    function: Callable[..., Any]
    shown: ShownSource


class Tracer:
    """Records the first-level calls of targets; a context manager installs it for one execution.

    ``finished`` collects the recordings in the order of the calls; ``wanted`` may refuse one by
    its target's name and argument source.
    """

    def __init__(
        self,
        targets: Mapping[CodeType, Target],
        limits: TraceLimits,
        wanted: Callable[[str, str | None], bool] = lambda name, arguments: True,
    ) -> None:
        self.limits = limits
        self.finished: list[Recording] = []
        self._targets = targets
        self._wanted = wanted
        self._shown: ShownSource | None = None
        self._file = ""
        self._open: Recording | None = None
        self._depth = 0
        self._bytes = 0
        self._calls = 0
        self._raised = ""

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Trace what runs in the block; what is still open at its end is lost."""
        lock = (sys.settrace, sys.setprofile, threading.settrace, threading.setprofile)
        settrace, ignore = sys.settrace, lambda function: None
        sys.settrace = sys.setprofile = ignore
        threading.settrace = threading.setprofile = ignore
        self._calls = 0
        settrace(self._enter)
        try:
            yield
        finally:
            settrace(None)
            sys.settrace, sys.setprofile, threading.settrace, threading.setprofile = lock
            self._close("lost")

    def _enter(self, frame: FrameType, event: str, arg: Any) -> _Scope | None:
        code = frame.f_code
        self._calls += 1
        if self._calls > self.limits.calls:
            self._stop("call-budget")
        if self._open is None:
            target = self._targets.get(code)
            if target is None or not self._begin(target, frame):
                return None
        shown = self._shown
        assert shown is not None
        if code.co_filename != self._file or code.co_firstlineno not in shown.numbers:
            return None
        scope = frame.f_trace  # a resumed generator still has its own
        if not isinstance(scope, _Scope) or scope.recording is not self._open:
            scope = _Scope(self, self._open)
        scope.depth = self._depth
        self._depth += 1
        line = frame.f_lineno
        if line == code.co_firstlineno:
            line = shown.definitions.get(line, line)
        self._record(scope, frame, "call", line)
        return scope

    def _begin(self, target: Target, frame: FrameType) -> bool:
        arguments = argument_source(target.function, frame.f_code, frame.f_locals)
        if not self._wanted(target.name, arguments):
            return False
        self._open = Recording(target.name, arguments)
        self._shown, self._file = target.shown, frame.f_code.co_filename
        self._depth = self._bytes = 0
        self._raised = ""
        return True

    def _close(self, outcome: str, result: str = "") -> None:
        if self._open is not None:
            self._open.outcome, self._open.result = outcome, result
            self._open.calls = self._calls
            self.finished.append(self._open)
            self._open = None

    def _record(
        self, scope: _Scope, frame: FrameType, event: str, line: int | None, value: Any = _CHANGED
    ) -> None:
        """Append a frame; raise `TraceStopped` when it is one too many."""
        assert self._open is not None and self._shown is not None
        number = self._shown.numbers.get(line or 0, scope.line)
        scope.line = number
        row: dict[str, Any] = {
            "event": event,
            "line": number,
            "source": self._shown.text[number - 1],
            "locals": None,
            "value": None,
            "unwinding": False,
            "depth": scope.depth,
        }
        size = _FRAME_BYTES + len(row["source"])
        if value is _CHANGED:
            row["locals"], spent = scope.snapshot(frame, self.limits.value_chars)
            size += spent
        else:
            row["value"] = render(value, self.limits.value_chars)
            size += len(row["value"])
        self._bytes += size
        if len(self._open.frames) >= self.limits.events:
            self._stop("event-budget")
        if self._bytes > self.limits.bytes:
            self._stop("byte-budget")
        self._open.frames.append(row)

    def _stop(self, outcome: str) -> None:
        self._close(outcome)
        raise TraceStopped(outcome)

    def event(self, scope: _Scope, frame: FrameType, event: str, arg: Any) -> None:
        """Record a line, return or exception of an open scope."""
        if event == "line":
            if self._shown is not None and frame.f_lineno in self._shown.numbers:
                self._record(scope, frame, event, frame.f_lineno)
        elif event == "exception":
            if not (issubclass(arg[0], StopIteration) and _operation(frame) in _ENDS_A_LOOP):
                self._record(scope, frame, event, frame.f_lineno, arg[1])
                self._raised = self._last("value")
        elif event == "return":
            self._record(scope, frame, event, frame.f_lineno, arg)
            unwinding = arg is None and _operation(frame) not in _LEAVING
            assert self._open is not None
            self._open.frames[-1]["unwinding"] = unwinding
            self._depth -= 1
            if self._depth == 0:
                self._close(
                    *("exception", self._raised) if unwinding else ("return", self._last("value"))
                )

    def _last(self, name: str) -> str:
        assert self._open is not None
        return str(self._open.frames[-1][name])

    def is_open(self, recording: Recording | None) -> bool:
        """Say whether ``recording`` is the one in the making."""
        return recording is not None and recording is self._open


class _Scope:
    """A function's frame while it is traced: CPython calls it at every line, return, exception."""

    __slots__ = ("_seen", "_tracer", "depth", "line", "recording")

    def __init__(self, tracer: Tracer, recording: Recording | None) -> None:
        self._tracer = tracer
        self._seen: dict[str, tuple[Any, str]] = {}
        self.recording = recording
        self.depth = 0
        self.line = 1

    def __call__(self, frame: FrameType, event: str, arg: Any) -> _Scope | None:
        if not self._tracer.is_open(self.recording):
            return None
        self._tracer.event(self, frame, event, arg)
        return self

    def snapshot(self, frame: FrameType, budget: int) -> tuple[list[dict[str, str]], int]:
        """Return every local as text, and how many bytes a line that shows the changes takes."""
        seen, shown, size = self._seen, [], 0
        in_class = not frame.f_code.co_flags & inspect.CO_OPTIMIZED
        for name, value in list(frame.f_locals.items()):
            if name[:2] == "__" and (in_class or name == "__class__"):
                continue
            before = seen.get(name)
            size += len(name) + 6
            if before is not None and before[0] is value:
                text = before[1]
            else:
                text = render(value, budget)
                # only what cannot change is recognised by identity, and is kept alive for that
                seen[name] = (value if type(value) in ATOMIC else _CHANGED, text)
                size += 2 if before is not None and before[1] == text else len(text)
            shown.append({"name": name, "value": text})
        return shown, size


_CODE: dict[CodeType, bytes] = {}


def _operation(frame: FrameType) -> str:
    """Name the opcode at which ``frame`` stands; ``co_code`` is built anew at each access."""
    code = _CODE.get(frame.f_code)
    if code is None:
        code = _CODE[frame.f_code] = frame.f_code.co_code
    return opcode.opname[code[frame.f_lasti]]


def trace_source(source: str, entry: str, arguments: str, limits: TraceLimits) -> Recording:
    """Execute a program and trace ``entry(arguments)``; run it in the sandbox.

    An exception of the entry is an outcome. What the program raises on the way there propagates.
    """
    shown = whole_source(source, entry)
    file = "<program>"
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(source, file, "exec", dont_inherit=True), names)
    call = compile(f"{entry}({arguments})", "<call>", "eval", dont_inherit=True)
    function = inspect.unwrap(names[entry])
    tracer = Tracer({function.__code__: Target(entry, function, shown)}, limits)
    try:
        with tracer.watching():
            eval(call, names)
    except (Exception, TraceStopped, SystemExit):  # the recording says which
        if not tracer.finished:
            raise
    if not tracer.finished:
        raise LookupError(f"{entry}({arguments}) ran no line of {entry!r}")
    recording = tracer.finished[0]
    recording.arguments = arguments
    return recording
