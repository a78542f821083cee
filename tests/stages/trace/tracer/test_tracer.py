"""What no single expected trace can show: budgets, clocks, chance, output, several recordings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from stages.trace.tracer import Target, TraceLimits, Tracer, TraceStopped
from stages.trace.tracer.source import whole_source
from tests.stages.trace.tracer.traces import ENGINES, short, trace, whole

BOTH = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
LOOP = "def main():\n    n = 0\n    while True:\n        n += 1\n"


@BOTH
@pytest.mark.parametrize(
    ("limits", "outcome"),
    [({"events": 50}, "event-budget"), ({"bytes": 1000}, "byte-budget")],
)
def test_budgets_end_a_trace_that_would_never_return(engine, limits, outcome):
    recording = trace(LOOP, engine=engine, **limits)
    assert recording.outcome == outcome and recording.result == ""
    assert 0 < len(recording.frames) <= 50


@BOTH
def test_work_that_is_stepped_over_has_a_budget_too(engine):
    source = "import json\ndef main():\n    while True:\n        json.dumps(1)\n"
    recording = trace(source, engine=engine, calls=1000, events=100_000)
    assert recording.outcome == "call-budget"


HANGS = """\
class Slow:
    def __repr__(self):
        while True:
            pass

def main():
    x = 1
    s = Slow()
    return s
"""
SLEEPS = "import time\ndef main():\n    x = 1\n    time.sleep(60)\n    return x\n"
SUMS = "def main():\n    x = 1\n    while sum(range(10**4)):\n        x = 1\n"


@BOTH
@pytest.mark.parametrize("source", [HANGS, SLEEPS, SUMS], ids=["repr", "sleep", "work"])
def test_a_clock_ends_what_no_budget_can_and_the_frames_so_far_stay(engine, source):
    names = {}
    exec(compile(source, "<slow>", "exec"), names)
    target = Target("main", names["main"], whole_source(source, "main"))
    limits = TraceLimits(events=10**9, bytes=10**9, calls=10**9)
    tracer = Tracer({names["main"].__code__: target}, limits, engine=engine)
    before = signal.signal(signal.SIGALRM, lambda *_: tracer.cut("time-budget"))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(TraceStopped), tracer.watching():
            names["main"]()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    [recording] = tracer.finished
    assert (recording.outcome, recording.result) == ("time-budget", "")
    first = source[: source.index("def main")].count("\n") + 1
    assert short(recording)[:3] == [f"C {first}", f"L {first + 1}", f"L {first + 2} x=1"]


PRINTS = """\
class V:
    def __repr__(self):
        print("asked")
        return "V"

def main():
    v = V()
    print("said")
    return v
"""


@BOTH
def test_what_a_repr_prints_while_the_tracer_asks_is_lost(engine, capfd):
    assert short(trace(PRINTS, engine=engine))[-1] == "R 9 V"
    assert capfd.readouterr().out == "said\n"


CHANCE = "import random\ndef main():\n    x = random.random()\n    return x\n"
CLOCK = "import time\ndef main():\n    x = time.perf_counter_ns()\n    return x\n"


@BOTH
@pytest.mark.parametrize("source", [CHANCE, CLOCK], ids=["chance", "clock"])
def test_two_executions_that_differ_are_told_by_their_frames(engine, source):
    first, second = trace(source, engine=engine), trace(source, engine=engine)
    assert whole(first) != whole(second)


IN_CHILD = """\
from tests.stages.trace.tracer.traces import trace, short
from stages.trace.tracer import reference
source = "def main():\\n    s = set('abcdefgh')\\n    return s\\n"
print(*short(trace(source)), *short(trace(source, engine=reference.Engine)), sep="\\n")
"""


def test_sets_of_text_are_in_the_order_of_the_hash_seed():
    first, again, other = (
        subprocess.run(
            [sys.executable, "-c", IN_CHILD],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "0", "1")
    )
    assert first == again != other
    lines = first.splitlines()
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :]


@BOTH
def test_an_exhausted_stack_is_lost_or_whole(engine):
    recording = trace("def f():\n    return f()\n", "f", engine=engine, events=100_000)
    assert recording.outcome in ("lost", "exception")


@BOTH
def test_an_entry_that_never_runs_is_an_error(engine):
    source = (
        "from functools import wraps\ndef deco(f):\n    return wraps(f)(lambda: 1)\n\n"
        "@deco\ndef main():\n    pass\n"
    )
    with pytest.raises(LookupError, match="ran no line"):
        trace(source, engine=engine)
