"""What a trace shows, case by case: every program in ``cases`` against the trace written beside it.

The traces were read line by line against the rules of docs/tracing.md: a difference is a question
to the engine first. Which file holds for which engine and version says `traces.expected_file`;
`make test-pythons` holds other versions of Python to theirs.
"""

import re

import pytest

from tests.stages.trace.tracer.traces import (
    CASES,
    DEEPER,
    ENGINES,
    NAMES,
    agrees_with_naive,
    expected_file,
    traced,
    whole,
    written,
)


@pytest.mark.parametrize("name", NAMES)
def test_both_engines_agree(name):
    python, native = (traced(name, engine) for engine in ENGINES)
    same_file = expected_file(name, "python") == expected_file(name, "native")
    assert (whole(python) == whole(native)) == same_file


@pytest.mark.parametrize("name", NAMES)
def test_the_trace_is_as_written(name):
    for engine in ENGINES:
        assert written(traced(name, engine)) == expected_file(name, engine).read_text(), engine


@pytest.mark.parametrize("name", NAMES)
def test_resolving_what_is_unchanged_gives_what_a_naive_tracer_saw(name):
    for engine in ENGINES:
        assert agrees_with_naive(name, traced(name, engine), engine)


def test_only_what_the_engine_in_python_cannot_see_has_a_trace_of_its_own():
    own = {name for name in NAMES if list(CASES.glob(f"{name}.python.*"))}
    assert own == DEEPER


def test_the_page_of_rules_names_cases_that_are_there():
    page = (CASES.parents[4] / "docs" / "tracing.md").read_text()
    named = {name for group in re.findall(r"\[([a-z_,\s]+)\]", page) for name in group.split(",")}
    assert {name.strip() for name in named} <= set(NAMES)


def test_every_case_says_which_rule_it_shows_and_has_a_trace():
    assert len(NAMES) >= 60
    assert {each.name.split(".")[0] for each in CASES.glob("*.trace")} == set(NAMES)
    for name in NAMES:
        rule = (CASES / f"{name}.py").read_text().partition("\n")[0]
        assert rule.startswith("# ") and rule.endswith("."), name
