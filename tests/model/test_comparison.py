"""What counts as equal between a predicted trace and the true one."""

from dataclasses import replace

import pytest

from model.comparison import Ending, changes, compare
from model.frames import Frame, Step, diff
from model.trace import MARK, ParsedTrace


def local(**values):
    return tuple(values.items())


TRUE = (
    Frame("call", "def f(a):\n", local(a="1"), line=1),
    Frame("line", "    b = g(a)\n", local(a="1"), line=2),
    Frame("call", "def g(x):\n", local(x="1"), line=4, depth=1),
    Frame("return", "    return x\n", value="1", line=5, depth=1),
    Frame("line", "    return b\n", local(a="1", b="1"), line=3),
    Frame("return", "    return b\n", value="1", line=3),
)
STEPS = tuple(diff(TRUE))


def compared(steps, complete=True, whole=True, true=TRUE):
    return compare(true, ParsedTrace(tuple(steps), complete=complete), whole=whole)


def changed(place, **changes):
    return [*STEPS[:place], replace(STEPS[place], **changes), *STEPS[place + 1 :]]


def test_a_caller_after_a_return_shows_its_changes_only():
    assert changes(TRUE) == [{"a": "1"}, {}, {"x": "1"}, {}, {"b": "1"}, {}]


def test_the_true_steps_are_equal():
    found = compared(STEPS)
    assert (found.equal, found.true_steps, found.first_difference) == (5, 5, None)
    assert found.ends_right and found.predicted_ending == Ending("returned", "1")


@pytest.mark.parametrize(
    "steps",
    [
        changed(2, source="def g(x):" + MARK + "\n"),
        changed(4, locals=local(b="1", a="1")),
        changed(1, locals=local(a="1")),
    ],
)
def test_mark_order_and_repeating_a_value_make_no_difference(steps):
    assert compared(steps).first_difference is None


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (1, {"event": "exception"}),
        (1, {"source": "b = g(a)\n"}),
        (2, {"locals": local(x="2")}),
        (2, {"locals": local(y="1")}),
        (3, {"value": "2"}),
        (4, {"locals": local(a="1")}),
        (4, {"locals": local(a="1", b="..")}),  # nothing precedes it
    ],
)
def test_a_difference_is_found_where_it_is(place, change):
    found = compared(changed(place, **change))
    assert found.first_difference == place
    assert [n for n, each in enumerate(found.places, 1) if not each.same] == [place]
    assert found.ends_right


def test_a_wrong_value_is_carried_on():
    frames = (
        Frame("call", "def f():\n", local()),
        *(Frame("line", f"    {n}\n", local(a="1")) for n in range(3)),
        Frame("return", "    2\n", value="1"),
    )
    steps = list(diff(frames))
    steps[1] = replace(steps[1], locals=local(a="7"))
    found = compared(steps, true=frames)
    assert [each.same for each in found.places] == [False, False, False, True]
    assert found.places[1].predicted_news == {}


def test_a_short_and_a_long_prediction():
    short = compared(STEPS[:3], complete=False)
    assert (short.equal, short.first_difference, len(short.places)) == (2, 3, 5)
    assert short.places[-1].predicted is None and not short.ends_right
    long = compared([*STEPS, STEPS[-1]], complete=False)
    assert (long.equal, long.true_steps, long.first_difference) == (5, 5, 6)
    nothing = compared([], complete=False)
    assert (nothing.equal, nothing.first_difference) == (0, 1)


def test_endings():
    assert not compared(changed(5, value="2")).ends_right
    assert compared(STEPS, whole=False).ends_right is None
    raising = (
        Frame("call", "def f():\n", local(), line=1),
        Frame("exception", "    x\n", value="E()", line=2),
        Frame("line", "    finally:\n", local(), line=3),
        Frame("return", "    finally:\n", value="None", line=3, unwinding=True),
    )
    found = compared(diff(raising), true=raising)
    assert found.true_ending == Ending("raised", "E()") and found.ends_right
    direct = (Step("exception", "    x\n", value="E()"), Step("return", "    x\n", value="None"))
    assert compared([STEPS[0], *direct], true=raising).ends_right
    assert compared([STEPS[0], direct[1]]).predicted_ending == Ending("returned", "None")
