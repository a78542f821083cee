"""The families: programs that run, end, stay small, and grow with their difficulty."""

import ast
import subprocess
import sys

import pytest

from stages.trace.programs import FAMILIES, FRAMES, LEVEL, draw, keeps
from stages.trace.programs.survey import LIMITS, survey
from stages.trace.tracer import trace_source
from tests.stages.trace.tracer.traces import ENGINES

DIFFICULTIES = (0.0, 0.5, 1.0)


def check(family, count):
    """Survey a family at three difficulties; what holds whatever the count."""
    found = [survey(family, difficulty, count) for difficulty in DIFFICULTIES]
    for each in found:
        assert set(each.outcomes) <= FAMILIES[family].outcomes
        assert each.most_frames < FRAMES
        assert each.kept > 0.9
    assert found[0].frames < found[1].frames < found[2].frames
    assert found[0].lines < found[1].lines < found[2].lines
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_programs_run_end_and_grow(family):
    easy, middle, hard = check(family, 150)
    assert middle.alike < 0.05 and hard.alike < 0.02
    assert easy.alike < (0.7 if family == "permutation" else 0.45)  # one step: there are but few


@pytest.mark.long
@pytest.mark.parametrize("family", FAMILIES)
def test_thousands_of_programs_run_end_and_grow(family):
    _, middle, hard = check(family, 3_000)
    assert middle.alike < 0.25 and hard.alike < 0.05


@pytest.mark.parametrize("family", FAMILIES)
def test_exceptions_end_only_the_family_of_that_name(family):
    ends = survey(family, 0.5, 100).outcomes
    share = ends["exception"] / ends.total()
    assert 0.05 < share < 0.3 if family == "exceptions" else share == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_both_engines_agree(family):
    for difficulty in DIFFICULTIES:
        for index in range(6):
            program = draw(1, family, difficulty, index)
            one, other = (
                trace_source(program.source, program.entry, program.arguments, LIMITS, engine=each)
                for each in ENGINES.values()
            )
            assert one.to_json() == other.to_json()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_program_is_a_function_of_what_was_asked_for(family):
    first = [draw(0, family, 0.4, index) for index in range(30)]
    assert first == [draw(0, family, 0.4, index) for index in range(30)]
    assert first != [draw(1, family, 0.4, index) for index in range(30)]
    assert [each.source for each in first] != [
        draw(0, family, 0.41, index).source for index in range(30)
    ]
    assert len({each.source for each in first}) > 25
    assert first[0].name == f"{family}:0.4:0:0"


def test_another_process_draws_the_same():
    """Nothing depends on the order of sets or on addresses."""
    code = (
        "import hashlib\n"
        "from stages.trace.programs import FAMILIES, draw\n"
        "text = [str(draw(0, name, 0.7, i)) for name in FAMILIES for i in range(20)]\n"
        "print(hashlib.sha256('\\n'.join(text).encode()).hexdigest())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


def kinds(family, difficulty=1.0, count=60):
    trees = [ast.parse(draw(0, family, difficulty, index).source) for index in range(count)]
    return {type(node) for tree in trees for node in ast.walk(tree)}


def test_families_hold_what_they_say():
    assert not kinds("straight") & {ast.For, ast.While, ast.ClassDef}
    assert {ast.For, ast.While, ast.Break, ast.Continue} <= kinds("loops")
    assert {ast.Dict, ast.List, ast.Delete, ast.ListComp} <= kinds("containers", count=300)
    assert {ast.Try, ast.Raise, ast.ExceptHandler} <= kinds("exceptions")
    assert ast.ClassDef in kinds("objects")
    assert {ast.Yield, ast.YieldFrom} <= kinds("generators")
    assert {ast.Nonlocal, ast.Lambda} <= kinds("closures")
    assert ast.If in kinds("calls")


def depth(node):
    """How many operations an expression holds one within another."""
    inner = max((depth(each) for each in ast.iter_child_nodes(node)), default=0)
    return inner + isinstance(node, ast.Call | ast.BinOp | ast.Subscript)


def test_nesting_goes_deeper():
    def deepest(difficulty):
        trees = (ast.parse(draw(0, "nesting", difficulty, index).source) for index in range(200))
        return sum(max(map(depth, ast.walk(tree))) for tree in trees) / 200

    assert deepest(0) < deepest(0.5) < deepest(1)


@pytest.mark.parametrize("steps", [1, 2, 8, 32, 64, 96])
def test_a_permutation_has_as_many_steps_as_it_is_difficult(steps):
    for index in range(30):
        program = draw(0, "permutation", steps / 96, index)
        tree = ast.parse(program.source)
        entry = next(node for node in tree.body if getattr(node, "name", "") == "f")
        if isinstance(entry.body[0], ast.For):
            assert len(tree.body[0].value.elts) == steps
        else:
            assert len(entry.body) == steps + 1
        names = {"__builtins__": {}}
        exec(program.source, names)
        result = eval(f"f({program.arguments})", names)
        given = ast.literal_eval(f"[{program.arguments}]")
        assert sorted(result) == sorted(given if len(given) == 5 else given[0])


def test_permutations_are_written_in_three_ways():
    sources = [draw(0, "permutation", 0.1, index).source for index in range(60)]
    looped = sum("SWAPS" in each for each in sources)
    helped = sum("def swap" in each for each in sources)
    assert min(looped, helped, 60 - looped - helped) > 10


@pytest.mark.parametrize(
    ("family", "difficulty"), [("nothing", 0.5), ("loops", 1.1), ("loops", -0.1), (LEVEL, 5)]
)
def test_what_is_not_there_is_refused(family, difficulty):
    with pytest.raises(ValueError, match="there"):
        draw(0, family, difficulty, 0)


def test_values_beyond_the_bounds_are_seen():
    def frames(value):
        return [{"locals": [{"name": "a", "value": value}], "value": None}]

    for value in ("999", "'a'", "{1, 2}", "{'a': (1, None)}", "<Box object n=1>"):
        assert keeps("objects", "return", frames(value))
    for value in ("1000", "[1000]", f"'{'a' * 25}'", str([0] * 21), "[1, 2, ...", f"<{'a' * 80}>"):
        assert not keeps("objects", "return", frames(value))
    assert not keeps("straight", "return", frames("<Box object n=1>"))
    assert not keeps("straight", "exception", frames("1"))
    assert keeps("exceptions", "exception", frames("ValueError('no')"))
