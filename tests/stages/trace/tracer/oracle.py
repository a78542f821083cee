"""A tracer to judge by: every local at every event, in full, as naively as it can be written.

It shares with the tracer the text of a value (`render`) and nothing else: what `resolve` makes of
the differences that a trace shows must be what this one saw.
"""

from __future__ import annotations

import ast
import dis
import inspect
import sys
from contextlib import suppress
from typing import Any

from stages.trace.tracer.rendering import render
from stages.trace.tracer.source import file_lines

Seen = tuple[str, str, tuple[tuple[str, str], ...] | None, str | None]
"""Event, source line, locals, value."""

_FILE = "<naive>"
_LOOPS = {"FOR_ITER", "SEND", "END_SEND", "YIELD_FROM"}


class _EnoughSeen(BaseException):
    """There are as many events as were asked for."""


class Naive:
    """A trace function that keeps a snapshot of everything."""

    def __init__(self, source: str, most: int, value_chars: int) -> None:
        self.seen: list[Seen] = []
        self._lines = file_lines(source)
        self._definitions = {
            node.decorator_list[0].lineno: node.lineno
            for node in ast.walk(ast.parse(source))
            if getattr(node, "decorator_list", None)
        }
        self._most, self._chars = most, value_chars
        self._entry: Any = None
        self._line: dict[int, int] = {}

    def run(self, source: str, entry: str, arguments: str) -> None:
        """Execute a program and trace a call of its entry."""
        names: dict[str, Any] = {"__name__": "program"}
        exec(compile(source, _FILE, "exec", dont_inherit=True), names)
        call = compile(f"{entry}({arguments})", "<call>", "eval", dont_inherit=True)
        self._code = inspect.unwrap(names[entry]).__code__
        settrace, before = sys.settrace, sys.unraisablehook
        sys.unraisablehook = lambda _: None  # there may be enough within a finaliser
        settrace(self)
        with suppress(_EnoughSeen, Exception, SystemExit):  # the program's own code runs here
            try:
                eval(call, names)
            finally:
                settrace(None)
                sys.unraisablehook = before

    def __call__(self, frame: Any, event: str, arg: Any) -> Any:
        """See an event."""
        if self._entry is None and frame.f_code is self._code:
            self._entry = frame
        if self._entry in (None, "left") or frame.f_code.co_filename != _FILE:
            return None
        if event in ("call", "line"):
            shown = tuple((k, render(v, self._chars)) for k, v in _locals(frame))
            self._keep(event, frame, shown, None)
        elif event == "return":
            self._keep(event, frame, None, render(arg, self._chars))
            if frame is self._entry:
                self._entry = "left"
        elif not (issubclass(arg[0], StopIteration) and _ends_a_loop(frame)):
            self._keep(event, frame, None, render(arg[1], self._chars))
        return self

    def _keep(self, event: str, frame: Any, shown: Any, value: str | None) -> None:
        line = frame.f_lineno or self._line[id(frame)]  # what the compiler adds may have no line
        if line == frame.f_code.co_firstlineno:
            line = self._definitions.get(line, line)
        self._line[id(frame)] = line
        self.seen.append((event, self._lines[line - 1], shown, value))
        if len(self.seen) >= self._most:
            sys.settrace(None)
            raise _EnoughSeen


def _locals(frame: Any) -> list[tuple[str, Any]]:
    is_class = not frame.f_code.co_flags & inspect.CO_OPTIMIZED
    return [
        (name, value)
        for name, value in dict(frame.f_locals).items()
        if isinstance(name, str)
        and not (is_class and name.startswith("__"))
        and name != "__class__"  # the cell of super()
    ]


def _ends_a_loop(frame: Any) -> bool:
    before = [
        each.opname
        for each in dis.get_instructions(frame.f_code)
        if each.offset <= frame.f_lasti  # which may lie in an instruction's inline cache
    ]
    return before[-1] in _LOOPS


def naive(source: str, entry: str, arguments: str, most: int, value_chars: int) -> list[Seen]:
    """Return what the first ``most`` events of a call showed."""
    if most == 0:
        return []
    tracer = Naive(source, most, value_chars)
    tracer.run(source, entry, arguments)
    return tracer.seen
