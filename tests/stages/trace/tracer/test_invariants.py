"""The invariants see what is wrong: each trace here is a good one with a single thing broken."""

import copy

import pytest

from stages.trace.tracer import TraceLimits, trace_source
from tests.stages.trace.tracer.invariants import check_frames

SOURCE = """\
def f(a):
    return a + 1

def main():
    x = f(1)
    y = x
    return y
"""
LINES = SOURCE.splitlines(keepends=True)


@pytest.fixture
def frames():
    return copy.deepcopy(trace_source(SOURCE, "main", "", TraceLimits()).frames)


def test_a_trace_is_well_formed(frames):
    check_frames(frames, LINES, "return", "2")
    check_frames([], LINES, "event-budget", "")
    check_frames(frames[:4], LINES, "event-budget", "")


BREAKS = {
    "starts with a line": lambda f: f.pop(0),
    "starts deeper": lambda f: f[0].update(depth=1),
    "a return is missing": lambda f: f.pop(4),
    "goes on after the end": lambda f: f.append(f[1]),
    "ends with a line": lambda f: f.pop(),
    "a line of another text": lambda f: f[1].update(source="x = 1\n"),
    "another line": lambda f: f[1].update(line=6),
    "a line without its newline": lambda f: f[1].update(source="    x = f(1)"),
    "a line without locals": lambda f: f[1].update(locals=None),
    "a return without a value": lambda f: f[4].update(value=None),
    "a call with a value": lambda f: f[2].update(value="1"),
    "a name twice": lambda f: f[5]["locals"].extend(f[5]["locals"] * 2),
    "a line that unwinds": lambda f: f[1].update(unwinding=True),
    "an end that unwinds": lambda f: f[-1].update(unwinding=True),
    "a value that unwinds": lambda f: f[4].update(unwinding=True),
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_broken_is_seen(frames, what):
    BREAKS[what](frames)
    with pytest.raises((AssertionError, TypeError)):
        check_frames(frames, LINES, "return", "2")


@pytest.mark.parametrize(
    ("outcome", "result"), [("return", "3"), ("exception", "2"), ("event-budget", ""), ("lost", "")]
)
def test_the_outcome_is_what_the_frames_say(frames, outcome, result):
    with pytest.raises(AssertionError):
        check_frames(frames, LINES, outcome, result)
