import pytest

from stages.evaluate.guesses import argument_values, best_position, copied, line_edits, majority


def test_majority_is_deterministic():
    assert majority(["2", "1", "1", "2", "3"]) == "1"
    assert majority([]) is None


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        ("1, 'a', [2,3]", ["1", "'a'", "[2, 3]"]),
        ("x, 2, k=-1", ["2", "-1"]),
        ("", []),
        ("1,, 2", []),
    ],
)
def test_argument_values_are_reprs(arguments, values):
    assert argument_values(arguments) == values


def test_the_best_argument_to_copy():
    assert best_position([("1, 2", "2"), ("3, 4", "4"), ("5, 6", "5")]) == 1
    assert best_position([]) == 0
    assert copied("7, 8", 1) == "8" and copied("7", 1) == "7" and copied("", 0) is None


def test_the_small_edits_of_a_line():
    source = "def f(a):\n    b = a + 2\n    return b\n"
    assert line_edits(source, 2) == ["b = a - 2", "b = a + 3", "b = a + 1"]
    assert line_edits(source, 3) == []
