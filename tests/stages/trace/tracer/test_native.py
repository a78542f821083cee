"""The engine in C: where it is chosen, and that it does what the one in Python does."""

from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.trace.tracer import (
    Target,
    TraceLimits,
    Tracer,
    TraceStopped,
    _native,
    engine,
    reference,
    trace_source,
)
from stages.trace.tracer.rendering import render
from stages.trace.tracer.source import whole_source
from tests.stages.trace.tracer.traces import ENGINES, short, trace, whole


def both(source, entry="main", arguments="", **limits):
    """Trace with both engines; return the recording that they agree on."""
    python, native = (trace(source, entry, arguments, each, **limits) for each in ENGINES.values())
    assert whole(python) == whole(native)
    return native


def test_the_engine_in_c_is_chosen_where_it_is_built():
    assert engine.engine_name() == "native"
    assert engine.make_engine() is engine.native_engine


def test_without_it_the_engine_in_python_is_chosen(monkeypatch):
    monkeypatch.setitem(sys.modules, "stages.trace.tracer._native", None)
    monkeypatch.delattr("stages.trace.tracer._native")
    engine.engine_name.cache_clear()
    try:
        assert engine.engine_name() == "python"
        assert engine.make_engine() is reference.Engine
    finally:
        engine.engine_name.cache_clear()


class Plain:
    def __init__(self, value):
        self.value = value


class Broken:
    def __repr__(self):
        raise RuntimeError


class Text(str):
    pass


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.complex_numbers(),
    st.text(),
    st.text(st.characters(categories=["Cs", "Lo", "So"])),
    st.binary(),
    st.text().map(Text),
    st.builds(Broken),
    st.builds(pow, st.just(10), st.just(5000)),
    st.sampled_from([object(), int, len, both, sys]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(st.text() | st.integers() | st.just("__builtins__"), inner),
        st.sets(st.integers() | st.text()),
        st.frozensets(st.integers() | st.binary()),
        inner.map(Plain),
        inner.map(lambda value: [value]),
    ),
    max_leaves=20,
)


@settings(max_examples=500, deadline=None)
@given(VALUES, st.integers(0, 120))
def test_values(value, budget):
    assert _native.render(value, budget) == render(value, budget)


class Says:
    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


@given(
    st.lists(st.sampled_from([" at 0x", "1f", "started ", "stopped ", "daemon ", "9", "z", "é"]))
)
def test_what_is_left_out_of_a_repr(parts):
    value = Says("".join(parts))
    assert _native.render([value], 60) == render([value], 60)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_no_program_should_catch_goes_through_a_repr(kind):
    class Stops:
        def __repr__(self):
            raise kind

    for each in (render, _native.render):
        with pytest.raises(kind):
            each([Stops()], 60)


def test_long_lists_are_not_looked_at():
    items = [0] * 10
    for each in (render, _native.render):
        assert each([items] * 10**6, 50) == each([items] * 100, 50)
        assert each({"k": "x" * 10**7, "l": ["y" * 10**7] * 9}, 30).startswith("{'k': 'xx")


LOOP = "def main():\n    n = 0\n    while True:\n        n += 1\n"


@pytest.mark.parametrize("events", [0, 1, 2, 3, 7, 50])
def test_the_budget_of_events(events):
    recording = both(LOOP, events=events)
    assert (recording.outcome, len(recording.frames)) == ("event-budget", events)


@pytest.mark.parametrize("size", [0, 30, 60, 100, 500, 3000])
def test_the_budget_of_bytes(size):
    assert both(LOOP, bytes=size, events=1000).outcome == "byte-budget"


@pytest.mark.parametrize("calls", [2, 5, 40])
def test_the_budget_of_calls(calls):
    source = "import json\ndef main():\n    while True:\n        json.dumps([1])\n"
    for _ in range(2):
        recording = both(source, calls=calls, events=10_000)
    assert recording.outcome == "call-budget"


@pytest.mark.parametrize("chars", [0, 1, 3, 4, 10, 1000])
def test_the_budget_of_a_value(chars):
    source = "def main():\n    a = ['x' * 50, (1, 2)]\n    b = 10 ** 30\n    return a\n"
    recording = both(source, value_chars=chars)
    assert all(len(v["value"]) <= max(chars, 3) for v in recording.frames[3]["locals"])


RECURSION = """\
def f(n):
    return f(n + 1)


def main():
    try:
        f(0)
    except RecursionError:
        return "deep"
"""


def test_at_the_recursion_limit_c_sees_every_level():
    limits = TraceLimits(events=100_000)
    native = trace_source(RECURSION, "main", "", limits, engine=engine.native_engine)
    events = [step[0] for step in native.steps]
    assert events.count("call") == events.count("return") == events.count("exception")
    assert (native.outcome, native.result) == ("return", "'deep'")
    assert sum(step[4] for step in native.steps) == events.count("call") - 1


def test_at_the_recursion_limit_the_trace_in_python_is_lost():
    limits = TraceLimits(events=100_000)
    python = trace_source(RECURSION, "main", "", limits, engine=reference.Engine)
    native = trace_source(RECURSION, "main", "", limits, engine=engine.native_engine)
    assert python.outcome == "lost"
    assert python.steps[:500] == native.steps[:500]
    assert not {"return", "exception"} & {step[0] for step in python.steps}


TWO = """\
def f(x):
    return g(x) + 1

def g(x):
    return x * 2
"""


def _targets(names):
    return {
        names[each].__code__: Target(each, names[each], whole_source(TWO, each)) for each in "fg"
    }


@pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
def test_several_targets_and_refused_calls(make):
    names = {}
    exec(compile(TWO, "<two>", "exec"), names)
    asked = []

    def wanted(name, arguments):
        asked.append((name, arguments))
        return arguments != "3"

    tracer = Tracer(_targets(names), TraceLimits(), wanted, make)
    with tracer.watching():
        names["f"](1)
        names["g"](2)
        names["g"](3)
        names["f"](3)
    with tracer.watching():
        names["g"](4)
    assert [(each.name, each.arguments) for each in tracer.finished] == [
        ("f", "1"), ("g", "2"), ("g", "4"),
    ]  # fmt: skip
    assert asked == [("f", "1"), ("g", "2"), ("g", "3"), ("f", "3"), ("g", "3"), ("g", "4")]
    assert short(tracer.finished[0]) == [
        "C 1 x=1",
        "L 2 x=1",
        "C 4 x=1",
        "L 5 x=1",
        "R 5 2",
        "R 2 3",
    ]


@pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
def test_errors_of_callbacks_reach_the_caller(make):
    names = {}
    exec(compile(TWO, "<two>", "exec"), names)

    def wanted(name, arguments):
        raise LookupError(name)

    tracer = Tracer(_targets(names), TraceLimits(), wanted, make)
    with pytest.raises(LookupError, match="f"), tracer.watching():
        names["f"](1)
    assert tracer.finished == []
    assert sys.gettrace() is None


@pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
def test_nothing_is_left_of_what_the_program_made(make):
    names = {}
    names |= {"made": [], "ref": weakref.ref}
    source = "class A:\n    pass\ndef main():\n    a = A()\n    made.append(ref(a))\n"
    exec(compile(source, "<made>", "exec"), names)
    main = names["main"]
    tracer = Tracer({main.__code__: Target("main", main, whole_source(source, "main"))},
                    TraceLimits(), engine=make)  # fmt: skip
    with tracer.watching():
        main()
    assert len(tracer.finished) == 1
    assert names["made"][0]() is None


def test_nothing_leaks():
    source = """\
class Odd:
    def __repr__(self):
        raise KeyError
class Plain:
    pass
def g(n):
    for i in range(n):
        yield "é" * i
def main():
    a, p = Odd(), Plain()
    p.x, p.y = [a, {1: (2, 3.5)}, {4}], frozenset([b"x"])
    for text in g(4):
        if len(text) == 2:
            break
    try:
        raise ValueError(text)
    except ValueError as error:
        return [error, main, 10 ** 20]
"""
    limits = TraceLimits(events=200, bytes=2500)

    def many(count):
        for _ in range(count):
            trace_source(source, "main", "", limits, engine=engine.native_engine)
        gc.collect()

    many(20)
    tracemalloc.start()
    try:
        many(5)
        before = tracemalloc.take_snapshot()
        many(400)
        grown = tracemalloc.take_snapshot().compare_to(before, "lineno")
        # blocks, not bytes: a table of the interpreter's that doubles now is large, and only one
        assert sum(line.count_diff for line in grown) < 200, grown[:5]
    finally:
        tracemalloc.stop()


def test_arguments_of_the_engine_are_checked():
    with pytest.raises(TypeError):
        _native.Engine()
    with pytest.raises(TypeError):
        _native.Engine(targets=3)


def test_the_stop_is_no_exception_that_programs_catch():
    names = {}
    exec(compile(LOOP, "<loop>", "exec"), names)
    target = Target("main", names["main"], whole_source(LOOP, "main"))
    tracer = Tracer({names["main"].__code__: target}, TraceLimits(events=5))
    with pytest.raises(TraceStopped), tracer.watching():
        names["main"]()
    assert sys.gettrace() is None
