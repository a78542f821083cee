"""The tracer: what a function did, line by line, as `stages.tables.FRAME` rows.

CPython tells a trace function of every call, line, return and exception. Only code within the shown
source is recorded; everything else is stepped over. The rules where CPython leaves a choice:

* a decorated function's call shows its ``def`` line;
* every local is recorded in full at calls and lines, names of a class body's machinery left out;
* a ``return`` event that is an exception passing through has ``unwinding`` set: the opcode says so;
* a ``StopIteration`` that merely ends a ``for`` or a ``yield from`` is CPython's affair: no frame;
* a generator's scope survives a yield; each resume is a call, each yield a return;
* a generator or coroutine as the entry stays the entry over its yields: what runs between is
  stepped over, and the outcome is that of its end. When it still waits as tracing ends, or as
  another entry is called, the outcome is "return", with what it yielded last;
* the code of a module is an entry or stepped over;
* names that no program can write (those of pytest start with "@") are no locals;
* a fork is not traced;
* budgets end a trace cleanly: the frames so far, and an outcome that says which budget.

The rules are written twice, in `reference` and, many times as fast, in ``native/``; `engine`
chooses. The module runs in the sandbox, beside the program: nothing here is safe from a program
that means harm, but one that meddles with tracing is noticed (see `locks`): its trace is
``tampered``, and ``lost`` if the meddling took the rest of it away.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import NoReturn

from stages.trace.tracer.arguments import argument_source
from stages.trace.tracer.engine import Engine, Files, MakeEngine, Target, make_engine
from stages.trace.tracer.locks import locked
from stages.trace.tracer.recording import Recording, TraceLimits, TraceStopped

__all__ = ["Recording", "Target", "TraceLimits", "TraceStopped", "Tracer"]

_AT_WORK: list[Engine] = []


def _untrace_fork() -> None:
    while _AT_WORK:
        _AT_WORK.pop().stop()


os.register_at_fork(after_in_child=_untrace_fork)


class Tracer:
    """Records the first-level calls of targets; a context manager installs it for one execution.

    ``finished`` collects the recordings in the order of the calls; ``wanted`` may refuse one by
    its target's name and argument source. ``engine`` is the fastest that is here.

    A target's file is what its trace shows. ``files`` may say, once for each other file that code
    comes from, which lines of that are shown too: their numbers are those in the target's text,
    which is a list then and may have grown. With ``any_entry`` a call of anything in those files
    is recorded when none is open.
    """

    def __init__(
        self,
        targets: Mapping[CodeType, Target],
        limits: TraceLimits,
        wanted: Callable[[str, str | None], bool] = lambda name, arguments: True,
        engine: MakeEngine | None = None,
        files: Files | None = None,
        any_entry: bool = False,
    ) -> None:
        self.limits = limits
        self.finished: list[Recording] = []
        self._targets = targets  # keeps the code objects alive, whose ids the engine knows
        self._wanted = wanted
        self._open: Recording | None = None
        by_id = {id(code): target for code, target in targets.items()}
        self._files = files
        make = engine or make_engine()
        self._engine = make(by_id, limits, self._begin, self._close, files, any_entry)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Trace what runs in the block; what is still open at its end is lost."""
        with locked(lambda: self._engine.hook, self._tampered) as check:
            self._engine.start()
            _AT_WORK.append(self._engine)
            try:
                yield
            finally:
                if self._engine in _AT_WORK:  # else it has been stopped
                    _AT_WORK.remove(self._engine)
                    check()
                self._engine.stop()

    def cut(self, outcome: str) -> NoReturn:
        """End what is open with ``outcome``, for a signal handler; raises `TraceStopped`."""
        before = len(self.finished)
        if self._engine in _AT_WORK:
            _AT_WORK.remove(self._engine)
        self._engine.stop()
        for recording in self.finished[before:]:
            recording.outcome = outcome
        raise TraceStopped(outcome)

    def _begin(self, target: Target | None, frame: FrameType) -> Recording | None:
        code = frame.f_code
        name = code.co_name if target is None else target.name
        function = None if target is None else target.function
        arguments = argument_source(function, code, frame.f_locals)
        if not self._wanted(name, arguments):
            return None
        shown = None if target is None else target.shown
        if shown is None and self._files is not None:
            shown = self._files(code.co_filename)
        self._open = Recording(name, arguments, () if shown is None else shown.text)
        return self._open

    def _tampered(self) -> None:
        recording = self._open or (self.finished[-1] if self.finished else None)
        if recording is not None:
            recording.tampered = True

    def _close(self, outcome: str, result: str, calls: int) -> None:
        recording, self._open = self._open, None
        if recording is not None:
            recording.outcome, recording.result, recording.calls = outcome, result, calls
            self.finished.append(recording)
