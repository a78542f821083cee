"""Generated programs: deterministic, small, and split by what they are, not by their names."""

import ast

import pytest

from stages.trace.inputs.mutate import mutations
from stages.trace.programs import LEVELS, generate, shape, within_bounds
from stages.trace.tracer.tracer import TraceLimits, trace_source


@pytest.mark.parametrize("level", LEVELS)
def test_programs_are_a_function_of_seed_level_and_index(level):
    first = [generate(0, level, index) for index in range(50)]
    assert first == [generate(0, level, index) for index in range(50)]
    assert first != [generate(1, level, index) for index in range(50)]
    assert len({program.source for program in first}) > 40


@pytest.mark.parametrize("level", LEVELS)
def test_programs_run(level):
    outcomes = []
    for index in range(200):
        program = generate(0, level, index)
        recording = trace_source(
            program.source, program.entry, program.arguments, TraceLimits(events=200)
        )
        outcomes.append(recording.outcome == "return" and within_bounds(recording.frames))
    assert sum(outcomes) > 150


def test_levels_hold_what_they_say():
    def kinds(level):
        trees = [ast.parse(generate(0, level, index).source) for index in range(200)]
        return {type(node) for tree in trees for node in ast.walk(tree)}

    assert not kinds(0) & {ast.If, ast.For, ast.List}
    assert ast.Mult in kinds(1) and not kinds(1) & {ast.If, ast.For}
    assert {ast.If, ast.List, ast.FloorDiv} <= kinds(2) and ast.For not in kinds(2)
    assert ast.For in kinds(3)
    assert "def g(n)" in generate(0, 4, 0).source


def test_values_out_of_bounds_are_seen():
    def frames(value):
        return [{"locals": [{"name": "a", "value": value}], "value": None}]

    assert within_bounds(frames("99")) and within_bounds(frames("'abcdefgh'"))
    for value in ("100", "-100", "'abcdefghi'", "[1, 2, 3, 4, 5, 6, 7]", "<range object>"):
        assert not within_bounds(frames(value))


def test_the_shape_survives_renaming_and_nothing_else():
    program = "def f(a, b):\n    c = max(a, b)\n    return c + 2\n"
    other = "def g(x, k):\n    a = max(x, k)\n    return a + 2\n"
    assert shape(program) == shape(other)
    assert shape(program) != shape(program.replace("2", "3"))
    assert shape(program) != shape(program.replace("max(a, b)", "max(b, a)"))
    assert shape(program) != shape(program.replace("max", "min"))


def test_mutations_are_literal_different_and_repeatable():
    for arguments in ("1, 'ab', [1, 2]", "x={'a': (1, True)}", "-1.5, None"):
        found = mutations(arguments, 5, "seed")
        assert found == mutations(arguments, 5, "seed")
        assert found and arguments not in found and len(set(found)) == len(found)
        for text in found:
            call = ast.parse(f"f({text})", mode="eval").body
            for each in [*call.args, *(keyword.value for keyword in call.keywords)]:
                ast.literal_eval(each)
    assert mutations("", 5, "seed") == []
