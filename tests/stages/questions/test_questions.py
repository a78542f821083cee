"""Questions are apart from training; a patch scores what is to be repaired."""

import pytest

from model.trace import MARK, unmark
from stages.questions.patches import function_patches, patch, program_patches
from stages.questions.run import TwinError, choose_programs
from stages.questions.settings import QuestionSettings
from stages.questions.twins import one_of_each, skeleton
from stages.trace.programs import shape
from tests.model.recording import record
from tests.stages.rows import program_row, write_traces


def test_a_skeleton_knows_neither_names_nor_constants():
    one = "def f(a):\n    b = a + 3\n    return b\n"
    renamed = "def f(x):\n    k = x + 3\n    return k\n"
    other_number = "def f(x):\n    k = x + 4\n    return k\n"
    other_type = "def f(x):\n    k = x + 'a'\n    return k\n"
    assert shape(one) == shape(renamed) != shape(other_number)
    assert skeleton(one) == skeleton(renamed) == skeleton(other_number)
    assert skeleton(other_type) not in (skeleton(one), skeleton(one.replace("+", "-")))


def row_of(name, number, operator="+"):
    """The row of a real trace of a function of one line."""
    source = f"def main({name}=2):{MARK}\n    return {name} {operator} {number}\n"
    trace = record(source)
    return program_row() | {
        "key": f"{name}{number}{operator}",
        "context": source,
        "arguments": "2",
        "frames": [frame.to_row() for frame in trace.frames],
        "result": trace.frames[-1].value,
        "group": shape(unmark(source)),
    }


def test_one_call_of_each_shape_is_asked_and_twins_are_marked(tmp_path):
    train = [row_of("a", 3), row_of("b", 5)]
    heldout = [row_of("a", 4), row_of("z", 4), row_of("a", 0, "*")]
    write_traces(tmp_path, train, heldout)
    programs, counts = choose_programs(tmp_path, QuestionSettings())
    assert sorted((row["result"], row["twin"]) for row in programs) == [("0", False), ("6", True)]
    assert counts["heldout_programs"] == 3 and counts["same_shape_dropped"] == 1
    assert counts["twins"] == 1


def test_a_renamed_training_program_is_refused(tmp_path):
    write_traces(tmp_path, [row_of("a", 3)], [row_of("b", 3)])
    with pytest.raises(TwinError, match="1 held-out programs are training programs"):
        choose_programs(tmp_path, QuestionSettings())


def test_one_of_each_keeps_the_first():
    rows = [{"group": "a", "n": 1}, {"group": "b", "n": 2}, {"group": "a", "n": 3}]
    assert [row["n"] for row in one_of_each(rows)] == [1, 2]


def test_a_patch_scores_the_changed_lines_alone():
    source = "def f(a):\n    b = a + 1\n    return b\n"
    broken = source.replace("+", "-")
    pieces = patch(source, broken, "assert f(1) == 2\n")
    assert pieces == [
        (broken + "assert f(1) == 2\n", False),
        ("def f(a):\n", False),
        ("    b = a + 1\n", True),
        ("    return b\n", False),
    ]
    assert patch(source, source, "") is None


def test_a_broken_program_returns_something_else():
    rows = [
        {"key": "1", "group": "1", "entry": "f", "arguments": "2", "result": "5"}
        | {"source": "def f(a):\n    return a + 3\n"},
        {"key": "2", "group": "2", "entry": "f", "arguments": "2", "result": "2"}
        | {"source": "def f(a):\n    b = a + 3\n    return a\n"},
    ]
    (found,) = program_patches(rows, count=9, seed=0)
    assert found["key"] == "1" and found["source"] == "program"
    assert [text for text, scored in found["pieces"] if scored] == ["    return a + 3\n"]
    assert "assert f(2) == 5\n" in found["pieces"][0][0]


def test_a_real_function_is_shown_with_its_tests():
    row = {
        "key": "k",
        "group": "g",
        "original": "def f(a):\n    return a + 3\n",
        "mutated": "def f(a):\n    return a - 3\n",
        "tests": '[{"call": "f(2)", "expected": "5\\n"}]',
    }
    (found,) = function_patches([row, row])
    assert found["pieces"][0][0].endswith(">>> f(2)\n5\n") and found["source"] == "function"
