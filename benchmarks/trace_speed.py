"""The tracer against others: events with their locals per processor second, on twelve programs.

    python -m benchmarks.trace_speed [--rounds N]

``naive`` is what is written first: ``repr`` of every local at every event, without bounds, then the
changes as JSON. PySnooper and hunter print the variables of every line; where they are not
installed the table says so. ``callback`` is ``sys.settrace`` with a function that does nothing: no
tracer that CPython calls as a Python function can be faster. All trace the same functions of the
same programs, one after the other within a round.
"""

from __future__ import annotations

import argparse
import builtins
import io
import json
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from types import FunctionType
from typing import Any

from benchmarks.measure import Ratio, interleaved, print_table, ratio
from benchmarks.trace_programs import PROGRAMS
from stages.trace.tracer import reference
from stages.trace.tracer.engine import NOTICE, MakeEngine, engine_name, native_engine
from stages.trace.tracer.source import whole_source
from stages.trace.tracer.tracer import Target, TraceLimits, Tracer, trace_source

FILE = "<program>"
LIMITS = TraceLimits(events=10**9, bytes=10**12, calls=10**12)
Run = Callable[[], object]


def _programs() -> list[FunctionType]:
    mains = []
    for source in PROGRAMS.values():
        names: dict[str, Any] = {"__name__": "program"}
        exec(compile(source, FILE, "exec", dont_inherit=True), names)
        mains.append(names["main"])
    return mains


def ours(engine: MakeEngine) -> Run:
    """Trace every program with one of our engines."""
    mains = _programs()
    targets = [
        Target("main", main, whole_source(source, "main"))
        for main, source in zip(mains, PROGRAMS.values(), strict=True)
    ]

    def run() -> None:
        for main, target in zip(mains, targets, strict=True):
            tracer = Tracer({main.__code__: target}, LIMITS, engine=engine)
            with tracer.watching():
                main()

    return run


def with_settrace(make: Callable[[], Callable[..., Any]]) -> Run:
    """Trace every program with a trace function of its own."""
    mains = _programs()

    def run() -> None:
        for main in mains:
            local = make()
            sys.settrace(partial(_first, local))
            try:
                main()
            finally:
                sys.settrace(None)
            getattr(local, "finish", lambda: None)()

    return run


def _first(local: Callable[..., Any], frame: Any, event: str, arg: Any) -> Any:
    return local(frame, event, arg) if frame.f_code.co_filename == FILE else None


class Naive:
    """``repr`` of every local at every event, the changes written as JSON at the end."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, str, int, Any]] = []

    def __call__(self, frame: Any, event: str, arg: Any) -> Naive:
        """Record an event."""
        if event in ("call", "line"):
            shown: Any = {name: repr(value) for name, value in frame.f_locals.items()}
        else:
            shown = repr(arg[1] if event == "exception" else arg)
        self.frames.append((id(frame), event, frame.f_lineno, shown))
        return self

    def finish(self) -> None:
        """Write the changes as JSON."""
        known: dict[int, dict[str, str]] = {}
        lines = []
        for scope, event, line, shown in self.frames:
            if isinstance(shown, dict):
                before = {} if event == "call" else known.get(scope, {})
                known[scope] = shown
                shown = {k: ".." if before.get(k) == v else v for k, v in shown.items()}
            lines.append(json.dumps([event, line, shown]))
        "".join(lines)


def callback() -> Callable[..., Any]:
    """Make a trace function that does nothing."""

    def local(frame: Any, event: str, arg: Any) -> Any:
        return local

    return local


def pysnooper() -> Run:
    """Trace every program with PySnooper, stepping into its functions."""
    import pysnooper as peer

    mains = _programs()

    def run() -> None:
        for main in mains:
            with peer.snoop(io.StringIO(), depth=50):
                main()

    return run


def hunter() -> Run:
    """Trace every program with hunter's printer of variables."""
    import hunter as peer

    mains = _programs()

    def run() -> None:
        for main in mains:
            printer = peer.VarsSnooper(stream=io.StringIO())
            with peer.trace(filename=FILE, action=printer):
                main()

    return run


def peers() -> dict[str, Run]:
    """Return the other tracers that are installed."""
    found = {}
    for name, make in (("PySnooper", pysnooper), ("hunter", hunter)):
        if find_spec(name.lower()) is None:
            print(f"{name} is not installed here: pip install {name.lower()}")
        else:
            found[name] = make()
    return found


def long_list() -> Ratio:
    """Return what an event costs beside a list of ten million items, against an empty one."""
    source = "def main(items=benchmark_items):\n    for i in range(3000):\n        i += 1\n"
    lists: dict[str, list[int]] = {"empty": [], "long": [0] * 10_000_000}

    def traced(items: list[int]) -> Run:
        def run() -> None:
            builtins.benchmark_items = items  # type: ignore[attr-defined]
            trace_source(source, "main", "", LIMITS)

        return run

    return ratio(
        interleaved({name: traced(items) for name, items in lists.items()}), "empty", "long"
    )


def bars() -> dict[tuple[str, str], float]:
    """Return what is aimed at: (ours, peer) → how many times as fast."""
    floor = 0.2 if sys.version_info < (3, 12) else 0.15
    return {
        ("C", "naive"): 8.0,
        ("C", "PySnooper"): 20.0,
        ("C", "hunter"): 20.0,
        ("C", "callback"): floor,
        ("Python", "naive"): 0.7,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    variants: dict[str, Run] = {}
    if engine_name() == "native":
        variants["C"] = ours(native_engine)
    else:
        print(NOTICE)
    variants["Python"] = ours(reference.Engine)
    variants |= {"naive": with_settrace(Naive), "callback": with_settrace(callback), **peers()}
    seconds = interleaved(variants, rounds)
    frames = sum(
        len(trace_source(source, "main", "", LIMITS).steps) for source in PROGRAMS.values()
    )
    aims = bars()
    rows = []
    for name, times in seconds.items():
        row = [name, f"{frames / min(times) / 1000:,.0f} k"]
        for own in ("C", "Python"):
            aim = aims.get((own, name))
            against = ratio(seconds, own, name) if own in seconds and own != name else "-"
            row.append(f"{against}" + (f"  aim {aim}" if aim else ""))
        rows.append(row)
    title = f"{frames:,} events with their locals of {len(PROGRAMS)} programs"
    print_table(title, ["tracer", "events/s", "C is so many times as fast", "Python is"], rows)
    print(f"a list of 10,000,000 items in scope costs {long_list()} an empty one; aim: at most 2")


if __name__ == "__main__":
    main()
