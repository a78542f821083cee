"""The tracer: what a function did, line by line, as `stages.tables.FRAME` rows.

CPython tells a trace function of every call, line, return and exception. Only code within the shown
source is recorded; everything else is stepped over. The rules where CPython leaves a choice:

* a decorated function's call shows its ``def`` line;
* every local is recorded in full at calls and lines, names of a class body's machinery left out;
* a ``return`` event that is an exception passing through has ``unwinding`` set: the opcode says so;
* a ``StopIteration`` that merely ends a ``for`` or a ``yield from`` is CPython's affair: no frame;
* a generator's scope survives a yield; each resume is a call, each yield a return;
* budgets end a trace cleanly: the frames so far, and an outcome that says which budget.

The rules are written twice, in `reference` and, many times as fast, in ``native/``; `engine`
chooses. The module runs in the sandbox, beside the program: nothing here is safe from a program
that means harm, but one that meddles with tracing is noticed and its trace is ``lost``.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any, NoReturn

from stages.trace.tracer.arguments import argument_source
from stages.trace.tracer.engine import MakeEngine, Target, make_engine
from stages.trace.tracer.recording import Recording, TraceLimits, TraceStopped
from stages.trace.tracer.source import whole_source

__all__ = ["Recording", "Target", "TraceLimits", "TraceStopped", "Tracer", "trace_source"]


class Tracer:
    """Records the first-level calls of targets; a context manager installs it for one execution.

    ``finished`` collects the recordings in the order of the calls; ``wanted`` may refuse one by
    its target's name and argument source. ``engine`` is the fastest that is here.
    """

    def __init__(
        self,
        targets: Mapping[CodeType, Target],
        limits: TraceLimits,
        wanted: Callable[[str, str | None], bool] = lambda name, arguments: True,
        engine: MakeEngine | None = None,
    ) -> None:
        self.limits = limits
        self.finished: list[Recording] = []
        self._targets = targets  # keeps the code objects alive, whose ids the engine knows
        self._wanted = wanted
        self._open: Recording | None = None
        by_id = {id(code): target for code, target in targets.items()}
        self._engine = (engine or make_engine())(by_id, limits, self._begin, self._close)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Trace what runs in the block; what is still open at its end is lost."""
        with _locked():
            self._engine.start()
            try:
                yield
            finally:
                self._engine.stop()

    def cut(self, outcome: str) -> NoReturn:
        """End what is open with ``outcome``, for a signal handler; raises `TraceStopped`."""
        before = len(self.finished)
        self._engine.stop()
        for recording in self.finished[before:]:
            recording.outcome = outcome
        raise TraceStopped(outcome)

    def _begin(self, target: Target, frame: FrameType) -> Recording | None:
        arguments = argument_source(target.function, frame.f_code, frame.f_locals)
        if not self._wanted(target.name, arguments):
            return None
        self._open = Recording(target.name, arguments, target.shown.text)
        return self._open

    def _close(self, outcome: str, result: str, calls: int) -> None:
        recording, self._open = self._open, None
        if recording is not None:
            recording.outcome, recording.result, recording.calls = outcome, result, calls
            self.finished.append(recording)


@contextmanager
def _locked() -> Iterator[None]:
    """Let no program install a trace function of its own, or see that one is there."""
    places = [
        (module, name)
        for module in (sys, threading)
        for name in ("settrace", "gettrace", "setprofile")
        if hasattr(module, name)
    ]
    before = [getattr(*place) for place in places]
    for place in places:
        setattr(*place, lambda *_: None)
    try:
        yield
    finally:
        for place, function in zip(places, before, strict=True):
            setattr(*place, function)


def trace_source(
    source: str, entry: str, arguments: str, limits: TraceLimits, engine: MakeEngine | None = None
) -> Recording:
    """Execute a program and trace ``entry(arguments)``; run it in the sandbox.

    An exception of the entry is an outcome. What the program raises on the way there propagates.
    """
    shown = whole_source(source, entry)
    file = "<program>"
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(source, file, "exec", dont_inherit=True), names)
    call = compile(f"{entry}({arguments})", "<call>", "eval", dont_inherit=True)
    function = inspect.unwrap(names[entry])
    tracer = Tracer({function.__code__: Target(entry, function, shown)}, limits, engine=engine)
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
