"""Real traces for the tests of renderings: every semantic case, and generated programs."""

from functools import cache

from hypothesis import strategies as st

from model.frames import Trace
from model.trace import mark_line
from stages.trace.programs import FAMILIES, LEVEL, LEVELS, draw
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
def programs(choose):
    """Draw the trace of a generated program; some are cut by a budget."""
    family = choose(st.sampled_from([LEVEL, *FAMILIES]))
    hard = choose(st.sampled_from(LEVELS) if family == LEVEL else st.sampled_from([0, 0.3, 0.7]))
    program = draw(1, family, hard, choose(st.integers(0, 10_000)))
    events = choose(st.sampled_from([10_000, 10_000, 25]))
    return made(program.source, program.entry, program.arguments, events=events)
