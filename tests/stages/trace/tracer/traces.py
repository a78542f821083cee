"""Traces in tests: made by either engine, written short, and the cases with what they must show.

Nothing here needs more than the standard library: `other_python` runs it in bare interpreters.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from model.frames import Frame, diff, resolve
from stages.trace.tracer import TraceLimits, reference, trace_source
from stages.trace.tracer.engine import native_engine
from tests.stages.trace.tracer.oracle import naive

ENGINES = {"python": reference.Engine, "native": native_engine}
CASES = Path(__file__).parent / "cases"
NAMES = sorted(each.stem for each in CASES.glob("*.py"))
VERSION = sys.version_info[0] * 100 + sys.version_info[1]
LIMITS = {"events": 60, "value_chars": 60}
OWN_LIMITS = {"recursion_limit": {"events": 200}}


def trace(source, entry="main", arguments="", engine=None, **limits):
    """Trace a program; no collection of garbage may call what others put into gc.callbacks."""
    gc.disable()
    try:
        return trace_source(source, entry, arguments, TraceLimits(**limits), engine=engine)
    finally:
        gc.enable()


def traced(name, engine):
    """Trace a case, the second time: what is imported or cached is so from the first on."""
    source = (CASES / f"{name}.py").read_text()
    limits = LIMITS | OWN_LIMITS.get(name, {})
    trace(source, engine=ENGINES[engine], **limits)
    return trace(source, engine=ENGINES[engine], **limits)


def expected_file(name, engine):
    """Return where the trace of a case is written.

    NAME.trace holds for both engines and from Python 3.11 on, NAME.312.trace from 3.12 on;
    NAME.python.trace holds for the engine in Python, which can do no better there.
    """
    for stem in (f"{name}.{engine}", name):
        for version in range(VERSION, 311, -1):
            if (file := CASES / f"{stem}.{version}.trace").exists():
                return file
        if (file := CASES / f"{stem}.trace").exists():
            return file
    return CASES / f"{name}.trace"


def short(recording):
    """Write frames as 'C 1 {...}', 'L 2 {...}', 'R 4 value', 'E 3 value'."""
    written = []
    for frame in recording.frames:
        head = f"{frame['event'][0].upper()} {frame['line']} "
        if frame["locals"] is None:
            written.append(head + frame["value"] + (" unwinding" if frame["unwinding"] else ""))
        else:
            written.append(head + " ".join(f"{v['name']}={v['value']}" for v in frame["locals"]))
    return [line.rstrip() for line in written]


def written(recording):
    """Write a recording as the files of the cases have it: frames, then the outcome."""
    end = [recording.outcome, recording.result, "tampered" if recording.tampered else ""]
    return "\n".join([*short(recording), " ".join(each for each in end if each)]) + "\n"


def whole(recording):
    """Return all that a recording says, for comparison."""
    return (
        recording.steps,
        recording.outcome,
        recording.result,
        recording.calls,
        recording.tampered,
    )


def resolved(recording):
    """Return what a reader finds who replaces every '..' by what it stands for."""
    steps = resolve(diff(Frame.from_row(frame) for frame in recording.frames))
    return [(step.event, step.source, step.locals, step.value) for step in steps]


BLIND = {"fork", "meddling", "meddling_before", "meddling_monitoring"}
"""Cases that the naive tracer cannot follow: it lets the program do what these try."""
DEEPER = {"comprehension_in_class", "finaliser", "recursion_limit"}
"""Cases in which the engine in C sees what no tracer in Python can, or not in every version."""


def agrees_with_naive(name, recording, engine):
    """Say whether a reader of a case's trace knows all that a naive tracer saw."""
    if name in BLIND or (name in DEEPER and engine == "native"):
        return True
    source = (CASES / f"{name}.py").read_text()
    limits = LIMITS | OWN_LIMITS.get(name, {})
    return resolved(recording) == naively(recording, source, limits["value_chars"])


def naively(recording, source, value_chars, entry="main", arguments=""):
    """Return what a naive tracer sees in as many events."""
    return naive(source, entry, arguments, len(recording.steps), value_chars)


def agree(python, native):
    """Say whether the engines say the same, as far as the one in Python can.

    Up to Python 3.12 CPython's copy of the locals keeps an object alive until the next event: a
    generator that is dropped at a yield is closed there, unseen by a tracer in Python.
    """
    if sys.version_info < (3, 13) and _drops_a_generator(native.frames):
        return True
    return whole(python) == whole(native)


def _drops_a_generator(frames):
    return any(
        call["event"] == "call"
        and (error["event"], error["value"]) == ("exception", "GeneratorExit()")
        and ".close()" not in before["source"]
        for before, call, error in zip(frames, frames[1:], frames[2:], strict=False)
    )
