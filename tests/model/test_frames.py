"""What a trace shows of its frames, and getting the full values back."""

import pytest

from model.frames import Frame, Scopes, Step, Trace, TraceError, diff, leaves_scope, resolve


def call(source="def f():\n", **values):
    return Frame("call", source, tuple(values.items()))


def line(**values):
    return Frame("line", "x\n", tuple(values.items()))


def leave(value="None"):
    return Frame("return", "return x\n", value=value)


def shown(frames):
    return [dict(step.locals) if step.locals is not None else step.value for step in diff(frames)]


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


def test_a_value_that_reads_like_unchanged_is_bracketed():
    assert shown([call(a=".."), line(a="..")]) == [{"a": "<..>"}, {"a": ".."}]
    assert dict(resolve(diff([call(a=".."), line(a="..")]))[1].locals) == {"a": ".."}


def test_what_refers_to_nothing_stays_unresolved():
    assert Scopes().resolve(Step("call", "f\n", (("a", ".."),))).locals == (("a", ".."),)


def test_leaving_the_outermost_scope():
    assert leaves_scope([call(), call(), leave(), leave()])
    assert not leaves_scope([call(), call(), leave()])
    assert leaves_scope([line(), leave()])
    assert not leaves_scope([])


def test_rows_survive_the_round_trip():
    frames = (call(a="1"), Frame("return", "x\n", value="None", line=3, unwinding=True, depth=1))
    assert tuple(Frame.from_row(frame.to_row()) for frame in frames) == frames
    row = {"context": "c", "frames": [frame.to_row() for frame in frames]}
    assert Trace.from_row(row) == Trace("c", frames, whole=True)


def test_frames_without_what_their_event_needs_are_refused():
    with pytest.raises(TraceError, match="no value"):
        diff([Frame("return", "x\n", line=4)])
    with pytest.raises(TraceError, match="line 4 has no locals"):
        diff([Frame("line", "x\n", line=4)])
