"""Debugger sessions: what the format is, and that every state is the recorded one."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.frames import Trace
from model.tokens import Special, piece_text
from stages.trace.renderings.debugger import (
    Action,
    Moves,
    Session,
    Stop,
    debugger_pieces,
    sample_session,
)
from stages.trace.renderings.debugger_check import SessionError, check_session, read_session
from tests.model.traces import frames as any_frames
from tests.stages.trace.renderings.recorded import NAMES, case, made, programs

SOURCE = """\
def main():
    a = 1
    b = double(a)
    c = b + 1
    return c


def double(n):
    m = n * 2
    return m
"""


@pytest.fixture(scope="module")
def trace():
    return made(SOURCE)


def told(trace, *actions, exit="exit_normal", back=False):
    """Make a session of given actions."""
    moves, at, stops = Moves(trace.frames), len(trace.frames) - 1 if back else 0, []
    for action in actions:
        stops.append(Stop(at, action))
        at = moves.target(at, action)
    return Session((*stops, Stop(at, None)), exit, back)


def text(trace, session):
    pieces = debugger_pieces(trace, session)
    check_session(pieces, trace)
    return "".join(map(piece_text, pieces[4:]))


def test_a_session_reads_as_the_paper_describes_it(trace):
    into, over = Action("into"), Action("over")
    session = told(trace, into, into, into, into, Action("return"), over, into, into)
    assert text(trace, session) == (
        "<|call_sep|><|action_sep|>def main():\n<|arg_sep|>{}<|frame_sep|><|step_into|>"
        "<|line_sep|>{}<|action_sep|>    a = 1\n<|frame_sep|><|step_into|>"
        '<|line_sep|>{"a": "1"}<|action_sep|>    b = double(a)\n<|frame_sep|><|step_into|>'
        '<|call_sep|><|action_sep|>def double(n):\n<|arg_sep|>{"n": "1"}<|frame_sep|><|step_into|>'
        '<|line_sep|>{"n": "1"}<|action_sep|>    m = n * 2\n<|frame_sep|><|step_return|>'
        '<|return_sep|><|action_sep|>    return m\n<|arg_sep|>"2"<|frame_sep|><|step_over|>'
        '<|line_sep|>{"a": "1", "b": "2"}<|action_sep|>    c = b + 1\n<|frame_sep|><|step_into|>'
        '<|line_sep|>{"c": "3", "..": ".."}<|action_sep|>    return c\n<|frame_sep|><|step_into|>'
        '<|return_sep|><|action_sep|>    return c\n<|arg_sep|>"3"<|frame_sep|>'
        "<|exit_normal|><|trace_end|><|end_of_text|>"
    )


def test_step_over_and_breakpoints_jump_over_the_callee(trace):
    session = told(
        trace, Action("breakpoint", "    b = double(a)\n"), Action("over"), Action("continue")
    )
    assert [stop.place for stop in session.stops] == [0, 2, 7, 9]
    assert (
        '<|breakpoint|>    b = double(a)\n<|line_sep|>{"a": "1"}<|action_sep|>    b = double(a)\n'
        '<|frame_sep|><|step_over|><|line_sep|>{"b": "2", "..": ".."}'
    ) in text(trace, session)


def test_the_inverse_moves_lead_back_to_the_call(trace):
    verbs = ("into", "over", "into", "return", "over", "return")
    session = told(trace, *[Action(v, back=True) for v in verbs], exit="", back=True)
    assert [stop.place for stop in session.stops] == [9, 8, 7, 6, 3, 2, 0]
    assert text(trace, session).endswith(
        "<|back_over|>"
        '<|line_sep|>{"a": "1"}<|action_sep|>    b = double(a)\n<|frame_sep|><|back_return|>'
        "<|call_sep|><|action_sep|>def main():\n<|arg_sep|>{}<|frame_sep|>"
        "<|trace_end|><|end_of_text|>"
    )


def test_a_deleted_local_is_seen_to_be_gone():
    found = made("def main():\n    a = 1\n    b = 2\n    del a\n    return b\n")
    session = told(found, *[Action("into")] * 5)
    assert '{"b": "2"}<|action_sep|>    return b\n' in text(found, session)


def test_exits_tell_how_the_program_ended():
    failed = made("def main():\n    return 1 / 0\n")
    assert sample_session(failed, 0).exit == "exit_error"
    cut = made("def main():\n    n = 0\n    while True:\n        n += 1\n", events=20)
    assert not cut.whole
    exits = Counter(sample_session(cut, seed).exit for seed in range(60))
    assert set(exits) == {"exit_never", ""}  # asked for what never came, or stepped to the cut
    with pytest.raises(ValueError, match="only a trace with an end"):
        sample_session(cut, 0, back=True)


def test_half_the_sessions_use_the_printed_weights():
    long = made(
        "def main():\n    n = 0\n    while n < 900:\n        n += one()\n    return n\n\n\n"
        "def one():\n    return 1\n"
    )
    verbs, some = Counter(), 0
    for seed in range(400):
        used = Counter(stop.action.verb for stop in sample_session(long, seed).stops[:-1])
        some += bool(used.keys() - {"into", "over"})
        verbs += used if used.keys() - {"into", "over"} else Counter()
    assert 150 < some < 250  # a session that jumps ends soon: few have two actions and none of them
    share = {verb: count / verbs.total() for verb, count in verbs.items()}
    assert abs(share["return"] - 0.25) < 0.1 and abs(share["into"] - 0.44) < 0.15


@pytest.mark.parametrize("name", NAMES)
def test_every_state_of_every_case_is_the_recorded_one(name):
    trace = case(name)
    for seed in range(12):
        pieces = debugger_pieces(trace, sample_session(trace, seed))
        assert pieces == debugger_pieces(trace, sample_session(trace, seed))
        check_session(pieces, trace)
        if trace.whole:
            check_session(debugger_pieces(trace, sample_session(trace, seed, back=True)), trace)


@settings(max_examples=80, deadline=None)
@given(trace=programs(), seed=st.integers(0, 1000), back=st.booleans())
def test_every_state_of_programs_is_the_recorded_one(trace, seed, back):
    pieces = debugger_pieces(trace, sample_session(trace, seed, back=back and trace.whole))
    check_session(pieces, trace)


@settings(max_examples=150, deadline=None)
@given(frames=any_frames(), seed=st.integers(0, 1000), back=st.booleans())
def test_every_state_of_any_frames_is_the_given_one(frames, seed, back):
    frames = tuple(replace(f, source=f.source.rstrip("\n") + "\n") for f in frames)
    row = {"context": "", "frames": [f.to_row() for f in frames]}
    trace = Trace.from_row(row)
    pieces = debugger_pieces(trace, sample_session(trace, seed, back=back and trace.whole))
    check_session(pieces, trace)


def test_the_check_finds_what_is_not_so(trace):
    session = told(trace, *[Action("into")] * 9)
    pieces = debugger_pieces(trace, session)
    check_session(pieces, trace)
    for number, piece in enumerate(pieces):
        if isinstance(piece, str) and "1" in piece:
            wrong = [*pieces[:number], piece.replace("1", "7"), *pieces[number + 1 :]]
            with pytest.raises(SessionError):
                check_session(wrong, trace)
    with pytest.raises(SessionError, match="ends with"):
        check_session(pieces[:-3], trace)
    unchanged = [
        Special("line_sep"),
        '{"..": ".."}',
        Special("action_sep"),
        "x",
        Special("frame_sep"),
    ]
    with pytest.raises(SessionError, match="nothing was shown before"):
        read_session(unchanged)
