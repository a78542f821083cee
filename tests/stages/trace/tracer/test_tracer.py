"""What a trace shows, case by case, and what holds for every trace."""

import json

import pytest

from tests.stages.trace.tracer.traces import short, trace

FIGURE_5 = """\
def f(a, b):
    c = a + b
    d = c * 2
    return d - a - 1


def main():
    return f(1, 3)
"""


def test_figure_5():
    recording = trace(FIGURE_5)
    assert short(recording) == [
        "C 7",
        "L 8",
        "C 1 a=1 b=3",
        "L 2 a=1 b=3",
        "L 3 a=1 b=3 c=4",
        "L 4 a=1 b=3 c=4 d=8",
        "R 4 6",
        "R 8 6",
    ]
    assert (recording.outcome, recording.result) == ("return", "6")


def test_only_what_runs_under_the_entry_is_shown():
    recording = trace("def g():\n    return 1\ng()\ndef main():\n    return g()\ng()\n")
    assert short(recording) == ["C 4", "L 5", "C 1", "L 2", "R 2 1", "R 5 1"]


def test_each_level_of_a_recursion_is_a_scope():
    recording = trace("def f(n):\n    return n and f(n - 1)\n", "f", "1")
    assert short(recording) == ["C 1 n=1", "L 2 n=1", "C 1 n=0", "L 2 n=0", "R 2 0", "R 2 0"]
    assert [frame["depth"] for frame in recording.frames] == [0, 0, 1, 1, 1, 0]


def test_a_generator_keeps_its_scope_over_yields():
    source = "def g():\n    x = 1\n    yield x\n    x = 2\ndef main():\n    return list(g())\n"
    assert short(trace(source)) == [
        "C 5",
        "L 6",
        "C 1",
        "L 2",
        "L 3 x=1",
        "R 3 1",
        "C 3 x=1",
        "L 4 x=1",
        "R 4 None",
        "R 6 [1]",
    ]


def test_closing_a_generator_shows_its_finally():
    source = (
        "def g():\n    try:\n        yield 1\n    finally:\n        x = 2\n"
        "def main():\n    it = g()\n    next(it)\n    it.close()\n    del it\n"
    )
    written = short(trace(source))
    assert "E 3 GeneratorExit()" in written
    assert "L 5" in written


def test_yield_from_and_for_hide_their_stop_iteration():
    source = (
        "class It:\n    def __iter__(self):\n        return self\n    def __next__(self):\n"
        "        raise StopIteration\n"
        "def inner():\n    yield 1\n    return 5\n"
        "def outer():\n    x = yield from inner()\n    yield x\n"
        "def main():\n    for _ in It():\n        pass\n    return list(outer())\n"
    )
    written = short(trace(source))
    assert [line for line in written if line.startswith("E")] == ["E 5 StopIteration()"]
    assert written[-1] == "R 15 [1, 5]"


def test_an_exception_passes_through_with_unwinding_returns():
    source = (
        "def a():\n    return 1 // 0\ndef b():\n    a()\n"
        "def main():\n    try:\n        b()\n    except ZeroDivisionError as e:\n        return 2\n"
    )
    error = "ZeroDivisionError('integer division or modulo by zero')"
    assert short(trace(source)) == [
        "C 5", "L 6", "L 7", "C 3", "L 4", "C 1", "L 2",
        f"E 2 {error}", "R 2 None unwinding", f"E 4 {error}", "R 4 None unwinding",
        f"E 7 {error}", "L 8", f"L 9 e={error}", "R 9 2",
    ]  # fmt: skip


def test_an_uncaught_exception_is_the_outcome():
    recording = trace("def main(x):\n    return x / 0\n", "main", "1")
    assert recording.outcome == "exception"
    assert recording.result == "ZeroDivisionError('division by zero')"


def test_returning_none_is_no_unwinding():
    recording = trace("def main():\n    x = 1\n")
    assert short(recording)[-1] == "R 2 None"


def test_finally_returns_show_its_line():
    recording = trace("def main():\n    try:\n        return 1\n    finally:\n        x = 2\n")
    assert short(recording)[-1] == "R 5 1"


def test_a_context_manager_that_swallows():
    source = (
        "class C:\n    def __enter__(self):\n        return 1\n    def __exit__(self, *a):\n"
        "        return True\n"
        "def main():\n    with C():\n        raise ValueError(3)\n    return 4\n"
    )
    recording = trace(source)
    assert "E 8 ValueError(3)" in short(recording)
    assert recording.result == "4"
    assert "<traceback object>" in json.dumps(recording.frames)


def test_a_decorated_function_is_called_at_its_def():
    source = "def deco(f):\n    return f\n\n@deco\n@deco\ndef main():\n    return 1\n"
    assert short(trace(source)) == ["C 6", "L 7", "R 7 1"]


def test_a_class_body_hides_its_machinery():
    source = "def main():\n    class A:\n        x = 1\n    return A.x\n"
    assert short(trace(source))[2:5] == ["C 2", "L 2", "L 3"]
    assert "__module__" not in json.dumps(trace(source).frames)


def test_a_mutation_in_place_shows_under_every_name():
    source = (
        "def g(x):\n    x.append(1)\ndef main():\n    a = []\n    b = a\n    g(a)\n    return b\n"
    )
    assert "L 7 a=[1] b=[1]" in short(trace(source))


def test_equal_values_of_other_types_differ():
    source = "def main():\n    a = [1]\n    a = [True]\n    a = [1.0]\n    return a\n"
    assert short(trace(source))[3:6] == ["L 4 a=[True]", "L 5 a=[1.0]", "R 5 [1.0]"]


def test_a_deleted_variable_disappears():
    source = "def main():\n    x = 1\n    del x\n    x = 1\n    return x\n"
    assert short(trace(source)) == ["C 1", "L 2", "L 3 x=1", "L 4", "L 5 x=1", "R 5 1"]


def test_cell_variables_show_in_both_scopes():
    source = (
        "def main():\n    n = 1\n    def g():\n        nonlocal n\n        n += 1\n    g()\n"
        "    return n\n"
    )
    written = short(trace(source))
    assert "L 5 n=1" in written
    assert written[-1] == "R 7 2"


def test_exec_is_stepped_over():
    source = "def main():\n    ns = {}\n    exec('y = 3', ns)\n    return ns['y']\n"
    recording = trace(source)
    assert len(recording.frames) == 5
    assert "__builtins__" not in json.dumps(recording.frames)


def test_sys_exit_is_an_exception_outcome():
    recording = trace("import sys\ndef main():\n    sys.exit(2)\n")
    assert (recording.outcome, recording.result) == ("exception", "SystemExit(2)")


def test_meddling_with_tracing_has_no_effect():
    source = "import sys\ndef main():\n    sys.settrace(None)\n    x = 1\n    return x\n"
    assert short(trace(source))[-1] == "R 5 1"


def test_an_exhausted_stack_is_lost_or_whole():
    source = "def f():\n    return f()\n"
    assert trace(source, "f", "", events=100_000).outcome in ("lost", "exception")


@pytest.mark.parametrize(
    ("limits", "outcome"),
    [({"events": 50}, "event-budget"), ({"bytes": 1000}, "byte-budget")],
)
def test_budgets_end_a_trace_that_would_never_return(limits, outcome):
    recording = trace("def main():\n    n = 0\n    while True:\n        n += 1\n", **limits)
    assert recording.outcome == outcome and recording.result == ""
    assert len(recording.frames) <= 50


def test_a_trace_stops_although_the_program_catches_everything():
    source = (
        "def main():\n    n = 0\n    while n < 100:\n        try:\n            n += 1\n"
        "        except BaseException:\n            pass\n    return n\n"
    )
    assert trace(source, events=20).outcome == "event-budget"


def test_special_tokens_are_ordinary_text():
    recording = trace("def main():\n    s = '<|frame_sep|>\\ud800'\n    return s\n")
    assert recording.result == repr("<|frame_sep|>\ud800")


def test_work_that_is_stepped_over_has_a_budget_too():
    source = "import json\ndef main():\n    while True:\n        json.dumps(1)\n"
    recording = trace(source, calls=1000, events=100_000)
    assert recording.outcome == "call-budget"
