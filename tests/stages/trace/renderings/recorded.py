"""Real traces for the tests of renderings: every semantic case, and generated programs."""

from functools import cache

from hypothesis import strategies as st

from model.frames import Trace
from model.trace import mark_line
from stages.trace.programs import generate
from tests.stages.trace.tracer.traces import CASES, trace

NAMES = sorted(case.stem for case in CASES.glob("*.py"))


def made(source, entry="main", arguments="", **limits):
    """Trace a program into what renderings are given."""
    recording = trace(source, entry, arguments, **limits)
    line = source[: source.index(f"def {entry}(")].count("\n") + 1
    return Trace.from_row({"context": mark_line(source, line), "frames": recording.frames})


@cache
def case(name):
    return made((CASES / f"{name}.py").read_text(), events=300)


@st.composite
def programs(draw):
    """Draw the trace of a generated program; some are cut by a budget."""
    program = generate(1, draw(st.integers(0, 4)), draw(st.integers(0, 10_000)))
    events = draw(st.sampled_from([10_000, 10_000, 25]))
    return made(program.source, program.entry, program.arguments, events=events)
