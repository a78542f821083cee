"""Traces in tests: made by either engine, written short, and checked for what always holds."""

from __future__ import annotations

import json
from pathlib import Path

from model.frames import Frame, diff, resolve
from stages.trace.tracer import reference
from stages.trace.tracer.engine import native_engine
from stages.trace.tracer.source import file_lines
from stages.trace.tracer.tracer import TraceLimits, trace_source

ENGINES = {"python": reference.Engine, "native": native_engine}
CASES = Path(__file__).parent / "cases"


def trace(source, entry="main", arguments="", engine=None, **limits):
    """Trace a program and check the trace."""
    recording = trace_source(source, entry, arguments, TraceLimits(**limits), engine)
    check(recording, source)
    return recording


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


def whole(recording):
    """Return all that a recording says, for comparison."""
    return recording.steps, recording.outcome, recording.result, recording.calls


def check(recording, source):
    """What holds for every trace."""
    frames = recording.frames
    lines = file_lines(source)
    if not frames:
        assert recording.outcome.endswith("-budget")
        return
    assert frames[0]["event"] == "call" and frames[0]["depth"] == 0
    depth = -1
    for frame in frames:
        assert frame["source"] == lines[frame["line"] - 1]
        depth += frame["event"] == "call"
        assert frame["depth"] == depth
        assert (frame["locals"] is None) == (frame["event"] in ("return", "exception"))
        assert (frame["value"] is None) == (frame["event"] in ("call", "line"))
        assert frame["event"] == "return" or not frame["unwinding"]
        depth -= frame["event"] == "return"
    if recording.outcome in ("return", "exception"):
        assert depth == -1 and frames[-1]["event"] == "return"
        assert frames[-1]["unwinding"] == (recording.outcome == "exception")
    else:
        assert depth >= 0 and recording.result == ""
    rows = [Frame.from_row(frame) for frame in frames]
    assert [(f.locals, f.value) for f in resolve(diff(rows))] == [(f.locals, f.value) for f in rows]
    assert json.loads(json.dumps(frames)) == frames
