"""Programs of any shape: both engines agree, and a naive tracer saw what the trace resolves to."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stages.trace.programs import LEVELS, generate
from tests.stages.trace.tracer.programs import any_program, compiles, seeded_program
from tests.stages.trace.tracer.traces import ENGINES, agree, naively, resolved, trace

LIMITS = {"events": 200, "value_chars": 40}


def hold(source, entry="main", arguments=""):
    """Trace with both engines, and naively."""
    trace(source, entry, arguments, **LIMITS)  # what is imported or cached is so from now on
    python, native = (
        trace(source, entry, arguments, engine, **LIMITS) for engine in ENGINES.values()
    )
    assert agree(python, native)
    assert resolved(python) == naively(python, source, LIMITS["value_chars"], entry, arguments)


@st.composite
def programs(draw):
    return any_program(lambda below: draw(st.integers(0, below - 1)))


@settings(max_examples=150, deadline=None)
@given(programs())
def test_programs_of_any_shape(source):
    assume(compiles(source))
    hold(source)


@given(st.sampled_from(LEVELS), st.integers(0, 10_000), st.integers(0, 100))
def test_generated_programs(level, index, seed):
    program = generate(seed, level, index)
    hold(program.source, program.entry, program.arguments)


def test_a_seed_is_a_program_that_runs():
    assert seeded_program(7) == seeded_program(7) != seeded_program(8)
    assert all(compiles(seeded_program(seed)) for seed in range(20))
