"""Judging by execution, and what does not fool it."""

import pytest

from cluster.sandbox import Result
from stages.tasks.verify import same_value, verify

from .test_task import FIX, task


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("c += b", True),
        ("c = a + b", True),
        ("c = 3", False),  # right for a visible test only
        ("c -= b", False),
        ("c +=", False),
        ("", False),
        ("raise SystemExit(0)", False),
        ("import os; os._exit(0)", False),
        ("import os; os.write(3, b'x' * 100); os._exit(0)", False),
        ("while True: pass", False),
        ("c = a + b; c.__class__ = bool", False),
        ("c = '\ud800'", False),
        ("c = '\0'", False),
    ],
)
def test_fix_is_judged_by_what_the_program_returns(box, answer, expected):
    assert verify(FIX, answer, box) is expected


def test_expected_values_never_enter_the_sandbox(box):
    seen = []

    class Watched:
        def call(self, target, payload, **options):
            seen.append(repr(payload))
            return box.call(target, payload, **options)

    hidden = task(
        "fix",
        context="def f(a):\n    return a\n",
        line=2,
        visible_tests=(("f(1)", "987651"),),
        hidden_tests=(("f(2)", "987652"),),
    )
    assert verify(hidden, "return a + 987650", Watched()) is True
    assert verify(hidden, "return a", Watched()) is False
    assert "987651" not in seen[-1] and "987652" not in seen[-1]


def test_a_lost_sandbox_is_no_verdict():
    class Lost:
        def call(self, *_, **__):
            return Result(outcome="crash", error="the server was lost: end of file")

    assert verify(FIX, "c += b", Lost()) is None


def test_output_needs_no_execution():
    assert verify(task("output"), " 3", None) is True
    assert verify(task("output"), "4", None) is False
    assert verify(task("output"), "", None) is False


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("[1,2]", "[1, 2]", True),
        ('"a"', "'a'", True),
        ("{1: 2, 3: 4}", "{3: 4, 1: 2}", True),
        ("{1, 2}", "{2, 1}", True),
        ("True", "1", False),
        ("1.0", "1", False),
        ("[1, True]", "[1, 1]", False),
        ("<object>", "<object>", True),
        ("nan", "nan", True),
        ("[" * 500, "1", False),
        ("{1, 2}", "{2, 1}", True),
        ("{1}", "{True}", False),
        ("{1: 0}", "{True: 0}", False),
    ],
)
def test_same_value(one, other, equal):
    assert same_value(one, other) is equal
