"""The tracers that `benchmarks.trace_throughput` compares: ours, two yardsticks, and peers."""

from __future__ import annotations

import bdb
import builtins
import io
import json
import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from types import FrameType
from typing import Any

from stages.trace.tracer import Target, TraceLimits, Tracer, reference, trace_source
from stages.trace.tracer.engine import NOTICE, MakeEngine, engine_name, native_engine
from stages.trace.tracer.source import whole_source

LIMITS = TraceLimits(events=10**9, bytes=10**12, calls=10**12)
PEERS = {"PySnooper": "pysnooper", "hunter": "hunter", "snoop": "snoop", "viztracer": "viztracer"}
DEPTH = 1000  # how deep the printers step in: deeper than any of the programs

Main = Callable[[], object]


@dataclass
class Program:
    """A program in a file of its own; ``main()`` is traced."""

    name: str
    source: str
    path: str

    def load(self, code: Any = None) -> Main:
        """Execute the program, or what a tracer made of it; return its ``main``."""
        names: dict[str, Any] = {"__name__": "program", "__file__": self.path}
        exec(code or compile(self.source, self.path, "exec", dont_inherit=True), names)
        main: Main = names["main"]
        return main

    @cached_property
    def frames(self) -> int:
        """How many events there are, by our count."""
        return len(trace_source(self.source, "main", "", LIMITS).steps)


@dataclass
class Tracing:
    """A way to trace a program: ``run`` is measured, ``count`` says what came out of it."""

    name: str
    records: str
    run: Callable[[Main, Program], Any]
    count: Callable[[Any], int] = len
    load: Callable[[Program], Main] = field(default=Program.load)
    repeats: int = 1
    """How often it is run within one measurement: what takes no time is measured by many."""


def _ours(name: str, engine: MakeEngine) -> Tracing:
    def run(main: Any, program: Program) -> Any:
        target = Target("main", main, whole_source(program.source, "main"))
        tracer = Tracer({main.__code__: target}, LIMITS, engine=engine)
        with tracer.watching():
            main()
        return tracer.finished[0].steps

    return Tracing(name, "every event, all locals as text of at most 100 characters", run)


def _settrace(main: Main, program: Program, local: Callable[..., Any]) -> None:
    path = program.path

    def first(frame: FrameType, event: str, arg: Any) -> Any:
        return local(frame, event, arg) if frame.f_code.co_filename == path else None

    sys.settrace(first)
    try:
        main()
    finally:
        sys.settrace(None)


def _naive(main: Main, program: Program) -> list[str]:
    frames: list[tuple[int, str, int, Any]] = []

    def local(frame: FrameType, event: str, arg: Any) -> Any:
        if event in ("call", "line"):
            shown: Any = {name: repr(value) for name, value in frame.f_locals.items()}
        else:
            shown = repr(arg[1] if event == "exception" else arg)
        frames.append((id(frame), event, frame.f_lineno, shown))
        return local

    _settrace(main, program, local)
    known: dict[int, dict[str, str]] = {}
    lines = []
    for scope, event, line, shown in frames:
        if isinstance(shown, dict):
            before = {} if event == "call" else known.get(scope, {})
            known[scope] = shown
            shown = {k: ".." if before.get(k) == v else v for k, v in shown.items()}
        lines.append(json.dumps([event, line, shown]))
    return lines


def _callback(main: Main, program: Program) -> None:
    def local(frame: FrameType, event: str, arg: Any) -> Any:
        return local

    _settrace(main, program, local)


class _Debugger(bdb.Bdb):
    """A debugger that steps through everything and keeps the locals as text."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.kept: list[tuple[str, int, Any]] = []

    def _keep(self, event: str, frame: FrameType, value: Any = None) -> None:
        if frame.f_code.co_filename == self.path:
            shown: Any = repr(value)
            if event in ("call", "line"):
                shown = {name: repr(value) for name, value in frame.f_locals.items()}
            self.kept.append((event, frame.f_lineno, shown))
        self.set_step()

    def user_call(self, frame: FrameType, argument_list: Any) -> None:
        """Keep a call."""
        self._keep("call", frame)

    def user_line(self, frame: FrameType) -> None:
        """Keep a line."""
        self._keep("line", frame)

    def user_return(self, frame: FrameType, return_value: Any) -> None:
        """Keep a return."""
        self._keep("return", frame, return_value)

    def user_exception(self, frame: FrameType, exc_info: Any) -> None:
        """Keep an exception."""
        self._keep("exception", frame, exc_info[1])


def _bdb(main: Main, program: Program) -> list[Any]:
    debugger = _Debugger(program.path)
    debugger.runcall(main)
    return debugger.kept


def _pysnooper(main: Main, program: Program) -> str:
    import pysnooper

    out = io.StringIO()
    pysnooper.snoop(out, depth=DEPTH)(main)()
    return out.getvalue()


def _hunter(main: Main, program: Program) -> str:
    import hunter

    out = io.StringIO()
    with hunter.trace(filename=program.path, action=hunter.VarsSnooper(stream=out)):
        main()
    return out.getvalue()


def _snoop(main: Main, program: Program) -> str:
    import snoop

    out = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of each repr that fails
        snoop.Config(out=out, color=False).snoop(depth=DEPTH)(main)()
    return out.getvalue()


def _viztracer_load(program: Program) -> Main:
    from viztracer.code_monkey import CodeMonkey

    monkey = CodeMonkey(program.path)
    if "@dataclass" not in program.source:  # it reads what a field without a value annotates
        monkey.add_instrument("log_var", {"varnames": [".*"]})
    return program.load(monkey.compile(program.source, program.path, "exec"))


def _viztracer(main: Main, program: Program) -> Any:
    from viztracer import VizTracer

    tracer = VizTracer(
        log_func_args=True, log_func_retval=True, tracer_entries=2_000_000, verbose=0
    )
    builtins.__viz_tracer__ = tracer  # type: ignore[attr-defined]  # what --log_var calls
    tracer.start()
    main()
    tracer.stop()
    return tracer


def _matches(pattern: str) -> Callable[[str], int]:
    return lambda text: len(re.findall(pattern, text, re.MULTILINE))


def _none(made: object) -> int:
    return 0


def missing() -> list[str]:
    """Return what cannot be measured here, and why."""
    lines = [] if engine_name() == "native" else [NOTICE]
    absent = [name for name, module in PEERS.items() if find_spec(module) is None]
    if absent:
        lines.append(f"not installed here: {', '.join(absent)}; pip install '.[bench]'")
    return lines


def tracers() -> list[Tracing]:
    """Return every tracer that is here, and no tracer at all."""
    found = [_ours("C", native_engine)] if engine_name() == "native" else []
    found += [
        _ours("Python", reference.Engine),
        Tracing("untraced", "nothing", lambda main, program: main(), _none, repeats=30),
        Tracing("callback", "nothing: what it costs CPython to call a function of Python at every"
                " event", _callback, _none, repeats=10),
        Tracing("naive", "every event, repr of every local without bounds; changes as JSON",
                _naive),
        Tracing("bdb", "every event, repr of every local without bounds; no changes", _bdb),
    ]  # fmt: skip
    peers = [
        Tracing("PySnooper", "prints every event, and repr of each local that changed", _pysnooper,
                _matches(r"^\s*\d\d:\d\d:\d\d\.\d+ (call|line|return|exception)")),
        Tracing("hunter", "VarsSnooper prints the events at which a local changed, old and new",
                _hunter, _matches(r"^.+")),
        Tracing("snoop", "prints every event, and repr of each local that changed", _snoop,
                _matches(r"^\s*\d\d:\d\d:\d\d\.\d+ +(<<<|\d+ \|)")),
        Tracing("viztracer", "calls with arguments and results, and names where they are assigned;"
                " no lines, no changes in place", _viztracer, lambda made: made.parse(),
                _viztracer_load),
    ]  # fmt: skip
    return found + [each for each in peers if find_spec(PEERS[each.name])]
