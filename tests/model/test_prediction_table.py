"""What the table shows where a prediction differs."""

from dataclasses import replace

import pytest
from rich.console import Console

from model.comparison import compare
from model.frames import Frame, Step, diff
from model.prediction_table import steps_table, verdict
from model.trace import ParsedTrace

CONTEXT = "def f(a):\n    b = a\n    return b\n"
TRUE = (
    Frame("call", "def f(a):\n", (("a", "1"),), line=1),
    Frame("line", "    b = a\n", (("a", "1"),), line=2),
    Frame("line", "    return b\n", (("a", "1"), ("b", "1")), line=3),
    Frame("return", "    return b\n", value="1", line=3),
)


def shown(place, width=200, **changes):
    """The cell of the predicted step at ``place``, changed, and the lines below the table."""
    steps = diff(TRUE)
    steps[place] = replace(steps[place], **changes)
    comparison = compare(TRUE, ParsedTrace(tuple(steps), complete=True), whole=True)
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(steps_table(comparison, CONTEXT))
        console.print(verdict(comparison))
    lines = captured.get().splitlines()
    start = lines[0].index("predicted")
    return lines[place + 1][start:].strip(), lines[len(steps) + 1 :]


@pytest.mark.parametrize(
    ("place", "changes", "cell"),
    [
        (2, {}, "b = 1"),
        (2, {"locals": (("a", ".."), ("b", "2"))}, "b = 2"),
        (2, {"locals": (("a", "3"), ("b", "1"))}, "a = 3, b = 1"),
        (2, {"locals": (("a", ".."),)}, "no b"),
        (2, {"locals": (("a", ".."), ("b", "1"), ("c", "[red]"))}, "b = 1, c = [red]"),
        (2, {"source": "    b = a\n"}, "line `b = a`: b = 1"),
        (2, {"source": "    b = 1\n"}, "line `b = 1` (no such line): b = 1"),
        (3, {"value": "2"}, "2"),
        (3, {"event": "exception"}, "exception `return b`: 1"),
        (3, {"value": "\x1b[2J\ud800\n"}, "\\x1b[2J\\ud800\\n"),
        (2, {"source": "x\x07\n"}, "line `x\\x07` (no such line): b = 1"),
        (2, {"locals": (("a", ".."), ("b\r", "1"))}, "b\\r = 1, no b"),
    ],
)
def test_a_cell_says_what_differs(place, changes, cell):
    assert shown(place, **changes)[0] == cell


def test_the_verdict():
    assert shown(2)[1] == [
        "3 of 3 steps equal (100%), no difference",
        "= returned 1: predicted right",
    ]
    assert shown(3, value="2")[1] == [
        "2 of 3 steps equal (67%), first difference at step 3",
        "≠ returned 1; the prediction returned 2",
    ]


def test_a_longer_prediction_goes_on_alone():
    steps = (*diff(TRUE), Step("line", "    b = a\n", locals=(("a", "1"),)))
    comparison = compare(TRUE, ParsedTrace(steps), whole=True)
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(steps_table(comparison, CONTEXT))
    last = captured.get().splitlines()[-1]
    assert " ".join(last.split()) == "4 ≠ (ended) line `b = a`: a = 1"
