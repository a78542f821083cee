"""What a trace shows of its frames, and getting the full values back."""

import pytest
from hypothesis import given, settings

from model.frames import (
    UNCHANGED,
    Frame,
    Scopes,
    Step,
    Trace,
    TraceError,
    diff,
    leaves_scope,
    resolve,
)
from tests.model import traces
from tests.model.recording import record


def call(source="def f():\n", **values):
    return Frame("call", source, tuple(values.items()))


def line(**values):
    return Frame("line", "x\n", tuple(values.items()))


def leave(value="None"):
    return Frame("return", "return x\n", value=value)


def shown(frames):
    return [dict(step.locals) if step.locals is not None else step.value for step in diff(frames)]


def as_steps(frames):
    return [Step(f.event, f.source, f.locals, f.value) for f in frames]


def test_only_changed_values_are_shown():
    frames = [call(a="1"), line(a="1"), line(a="1", b="2"), line(a="3", b="2"), leave("3")]
    assert shown(frames) == [
        {"a": "1"},
        {"a": ".."},
        {"a": "..", "b": "2"},
        {"a": "3", "b": ".."},
        "3",
    ]


def test_a_deleted_variable_comes_back_in_full():
    frames = [call(), line(a="1"), line(), line(a="1")]
    assert shown(frames) == [{}, {"a": "1"}, {}, {"a": "1"}]


def test_a_call_and_the_callers_next_frame_are_full():
    frames = [call(a="1"), line(a="1"), call(a="1"), line(a="1"), leave(), line(a="1"), line(a="1")]
    full, same = {"a": "1"}, {"a": ".."}
    assert shown(frames) == [full, same, full, same, "None", full, same]


def test_an_exception_between_return_and_line_keeps_the_line_full():
    raised = Frame("exception", "g()\n", value="ValueError()")
    frames = [call(a="1"), call(), raised, leave(), raised, line(a="1")]
    assert shown(frames)[-1] == {"a": "1"}


def test_an_episode_in_mid_trace_starts_in_full():
    frames = [line(a="1"), line(a="1"), leave(), line(b="2"), line(b="2")]
    assert shown(frames) == [{"a": "1"}, {"a": ".."}, "None", {"b": "2"}, {"b": ".."}]


GENERATORS = """def count(n):
    for i in range(n):
        yield i

def main():
    a, b = count(2), count(3)
    return [next(a), next(b), next(a), next(b)]
"""


def test_a_generator_goes_on_with_its_locals_in_full():
    frames = record(GENERATORS).frames
    steps = diff(frames)
    calls = [n for n, frame in enumerate(frames) if frame.event == "call"]
    assert [dict(steps[n].locals) for n in calls[:5]] == [
        {},
        {"n": "2"},
        {"n": "3"},
        {"n": "2", "i": "0"},
        {"n": "3", "i": "0"},
    ]
    assert dict(steps[calls[4] + 1].locals) == {"n": "..", "i": ".."}
    assert resolve(steps) == as_steps(frames)


@settings(max_examples=400, deadline=None)
@given(frames=traces.frames())
def test_resolving_gives_what_was_recorded(frames):
    assert resolve(diff(frames)) == as_steps(frames)


@settings(max_examples=200, deadline=None)
@given(frames=traces.frames())
def test_unchanged_stands_only_for_what_its_scope_has_shown(frames):
    scopes = []
    for step in diff(frames):
        if step.event == "call":
            scopes.append(set())
        for name, value in step.locals or ():
            assert value != UNCHANGED or name in scopes[-1]
        if step.locals is not None:
            scopes[-1] = {name for name, _ in step.locals}
        if step.event == "return":
            scopes.pop()
            if scopes:
                scopes[-1] = set()


@settings(max_examples=200, deadline=None)
@given(frames=traces.frames())
def test_every_part_that_starts_with_locals_can_be_read_alone(frames):
    for start, frame in enumerate(frames):
        if frame.locals is not None:
            assert resolve(diff(frames[start:])) == as_steps(frames[start:])


def test_a_value_that_reads_like_unchanged_is_bracketed():
    frames = [call(a="..", b="<..>", c="<.."), line(a="..", b="..", c="<<..>>")]
    assert shown(frames) == [
        {"a": "<..>", "b": "<<..>>", "c": "<<..>"},
        {"a": "..", "b": "<..>", "c": "<<<..>>>"},
    ]
    assert resolve(diff(frames)) == as_steps(frames)


def test_what_refers_to_nothing_stays_unresolved():
    assert Scopes().resolve(Step("call", "f\n", (("a", ".."),))).locals == (("a", ".."),)


def test_leaving_the_scope_of_the_first_frame():
    assert leaves_scope([call(), call(), leave(), leave()])
    assert not leaves_scope([call(), call(), leave()])
    assert leaves_scope([line(), leave()])
    assert not leaves_scope([call(), leave(), line(), leave()])
    assert not leaves_scope([])


def test_rows_survive_the_round_trip():
    frames = (call(a="1"), Frame("return", "x\n", value="None", line=3, unwinding=True, depth=1))
    assert tuple(Frame.from_row(frame.to_row()) for frame in frames) == frames
    row = {"context": "c", "frames": [frame.to_row() for frame in frames]}
    assert Trace.from_row(row) == Trace("c", frames, whole=True)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (Frame("return", "x\n", line=4), "return frame at line 4 has no value"),
        (Frame("line", "x\n", line=4), "line 4 has no locals"),
        (Frame("line", "x\n", (("a", "1"), ("a", "2")), line=4), "line 4 names a local twice"),
    ],
)
def test_frames_without_what_their_event_needs_are_refused(frame, message):
    with pytest.raises(TraceError, match=message):
        diff([frame])
