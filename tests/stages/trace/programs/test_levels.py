"""The levels: deterministic, small, and for ever the same."""

import ast
import hashlib
import json

import pytest

from stages.trace.programs import LEVEL, LEVELS, draw, generate, keeps
from stages.trace.tracer import TraceLimits, trace_source


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
        outcomes.append(keeps(LEVEL, recording.outcome, recording.frames))
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

    assert keeps(LEVEL, "return", frames("99")) and keeps(LEVEL, "return", frames("'abcdefgh'"))
    assert not keeps(LEVEL, "exception", frames("99"))
    for value in ("100", "-100", "'abcdefghi'", "[1, 2, 3, 4, 5, 6, 7]", "<range object>"):
        assert not keeps(LEVEL, "return", frames(value))


DIGESTS = {
    0: "7c611f3c4a0b6758d5b394f125e0d5bb1d233103435311cbc5238d1dc9a8c270",
    1: "fff5d7377664bd4064ec0aacfd2ee2953affc7ea23b713fbdb2c0a8d19a58db9",
    2: "bbf7fce964261a4d622f025499aee782a988fdead56d19751b5e7f025759ad11",
    3: "7a94fbb56422b7d1954675d7fa0f8f2cf18ed79c0843edce34bddebdc3906ef7",
    4: "f9597deaa744ad358f4c578ce61ebc5c1ac4d41b55cf0f9314e362155497d70d",
}


@pytest.mark.parametrize("level", LEVELS)
def test_levels_stay_what_they_are(level):
    digest = hashlib.sha256()
    for seed in (0, 7):
        for index in range(300):
            program = generate(seed, level, index)
            assert draw(seed, LEVEL, level, index) == program
            parts = [program.name, program.source, program.entry, program.arguments]
            digest.update(json.dumps(parts).encode())
    assert digest.hexdigest() == DIGESTS[level]
