"""What a trace shows, case by case: every program in ``cases`` against the trace written beside it.

``NAME.trace`` is what both engines say; where ``NAME.python.trace`` is there too, the engine in
Python can do no better than that (see `stages.trace.tracer.reference`). The traces are those of
Python 3.11; other versions are held to the invariants, and to both engines' agreement.
"""

import sys

import pytest

from tests.stages.trace.tracer.traces import CASES, ENGINES, short, trace, whole

NAMES = sorted(each.stem for each in CASES.glob("*.py"))
APART = {"finaliser"} if sys.version_info < (3, 13) else set()
"""Cases in which the engine in Python is behind; `recursion_limit` has a test of its own."""
LIMITS = {"events": 60, "value_chars": 60}


def traced(name, engine):
    source = (CASES / f"{name}.py").read_text()
    trace(source, engine=ENGINES[engine], **LIMITS)  # what is imported or cached is so from now on
    return trace(source, engine=ENGINES[engine], **LIMITS)


@pytest.mark.parametrize("name", NAMES)
def test_both_engines_agree(name):
    python, native = (traced(name, engine) for engine in ("python", "native"))
    assert (whole(python) == whole(native)) == (name not in APART)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the traces are those of 3.11")
@pytest.mark.parametrize("name", NAMES)
def test_the_trace_is_as_written(name):
    for engine in ENGINES:
        recording = traced(name, engine)
        own = CASES / f"{name}.{engine}.trace"
        expected = own if own.exists() else CASES / f"{name}.trace"
        found = [*short(recording), f"{recording.outcome} {recording.result}".rstrip()]
        assert "\n".join(found) + "\n" == expected.read_text()


def test_there_are_enough():
    assert len(NAMES) >= 60
    assert {each.name.split(".")[0] for each in CASES.glob("*.trace")} == set(NAMES)
