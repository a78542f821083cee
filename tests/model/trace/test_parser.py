"""Tokens to steps, whatever the tokens."""

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.frames import Frame, Step, Trace, diff, leaves_scope, resolve
from model.tokens import Special
from model.trace import (
    ParsedTrace,
    Reason,
    encode,
    encode_step,
    encode_steps,
    final_value,
    parse,
)
from model.trace.parser import EXPECTED
from tests.model import traces


@settings(max_examples=300, deadline=None)
@given(context=traces.TEXT, frames=traces.frames())
def test_parsing_inverts_encoding(tokenizer, context, frames):
    parsed = parse(encode(Trace(context, frames), tokenizer)[0], tokenizer)
    steps = tuple(diff(frames))
    assert parsed == ParsedTrace(steps, context, complete=leaves_scope(frames))
    assert resolve(parsed.frames) == [Step(f.event, f.source, f.locals, f.value) for f in frames]


@settings(max_examples=200, deadline=None)
@given(frames=traces.frames(most=8), data=st.data())
def test_a_cut_trace_is_truncated_where_it_ends(tokenizer, frames, data):
    ids, _ = encode(Trace("x\n", frames), tokenizer)
    end = data.draw(st.integers(0, len(ids) - 1))
    parsed = parse(ids[:end], tokenizer)
    assert (parsed.error.reason, parsed.error.position) == ("truncated", end)
    assert parsed.frames == tuple(diff(frames))[: len(parsed.frames)]


def check(ids, tokenizer):
    """Parse what may be anything, and check what is always so."""
    parsed = parse(ids, tokenizer)
    if parsed.error is not None:
        assert not parsed.complete and 0 <= parsed.error.position <= len(ids)
        assert parsed.error.reason in EXPECTED
        assert str(parsed.error).startswith(f"{parsed.error.reason} at token ")
        before = parse(ids[: parsed.error.position], tokenizer)
        assert before.frames == parsed.frames  # the problem is not before its position
    assert parse(encode_steps(parsed.frames, tokenizer), tokenizer).frames == parsed.frames
    assert len(resolve(parsed.frames)) == len(parsed.frames)
    assert parsed.complete or final_value(parsed) is None


@st.composite
def odd_ids(draw, tokenizer):
    """Draw one id: of a special token, of any token, or of none."""
    named = [tokenizer.regular_size + offset for offset in (0, 1, 9, 2, *range(100, 108))]
    size = tokenizer.vocab_size
    return draw(
        st.sampled_from(named)
        | st.integers(0, size - 1)
        | st.sampled_from([-1, -size, size, size + 1, 2**70])
        | st.sampled_from(tokenizer.encode('{}[]": "..", "\\ud8'))
    )


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_ids_are_parsed(tokenizer, data):
    check(data.draw(st.lists(odd_ids(tokenizer), max_size=60)), tokenizer)


@settings(max_examples=400, deadline=None)
@given(frames=traces.frames(), data=st.data())
def test_a_damaged_trace_is_parsed(tokenizer, frames, data):
    ids, _ = encode(Trace("def f():\n", frames), tokenizer)
    for _ in range(data.draw(st.integers(1, 4))):
        at, end = sorted(data.draw(st.tuples(*[st.integers(0, len(ids))] * 2)))
        damage = data.draw(st.sampled_from(["delete", "insert", "replace", "repeat", "move"]))
        odd, part = data.draw(odd_ids(tokenizer)), ids[at:end]
        match damage:
            case "delete":
                ids[at:end] = []
            case "insert":
                ids.insert(at, odd)
            case "replace":
                ids[at : at + 1] = [odd]
            case "repeat":
                ids[at:at] = part
            case "move":
                ids = [*part, *ids[:at], *ids[end:]]
    check(ids, tokenizer)


def sep(name):
    return Special(name)


PROBLEMS = [
    ([], "truncated", 0),
    (["x"], "no-event", 0),
    ([sep("frame_sep")], "no-event", 0),
    ([sep("line_sep"), "{}"], "truncated", 2),
    ([sep("line_sep"), "{", sep("action_sep")], "locals-not-json", 1),
    ([sep("line_sep"), '{"a": "1"} x', sep("action_sep")], "locals-not-json", 1),
    ([sep("line_sep"), sep("action_sep")], "locals-not-json", 1),
    ([sep("line_sep"), '{"a": "1", "a": "2"}', sep("action_sep")], "locals-name-twice", 1),
    ([sep("line_sep"), '{"a": 1}', sep("action_sep")], "locals-not-strings", 1),
    ([sep("line_sep"), '{"a": {"b": "1"}}', sep("action_sep")], "locals-not-strings", 1),
    ([sep("line_sep"), '{"a": NaN}', sep("action_sep")], "locals-not-strings", 1),
    ([sep("line_sep"), "[]", sep("action_sep")], "locals-not-strings", 1),
    ([sep("line_sep"), '[["a", "1"]]', sep("action_sep")], "locals-not-strings", 1),
    ([sep("line_sep"), "{}", sep("arg_sep")], "no-action", 2),
    ([sep("line_sep"), "{}", sep("action_sep"), "x", sep("arg_sep")], "no-frame-end", 4),
    ([sep("return_sep"), "{}", sep("action_sep")], "no-action", 1),
    ([sep("return_sep"), sep("action_sep"), "x", sep("frame_sep")], "no-value", 3),
    ([sep("return_sep"), sep("action_sep"), sep("arg_sep"), "1", sep("frame_sep")],
     "value-not-string", 3),
    ([sep("return_sep"), sep("action_sep"), sep("arg_sep"), "x", sep("frame_sep")],
     "value-not-json", 3),
    ([sep("return_sep"), sep("action_sep"), sep("arg_sep"), '"1"', sep("eos")], "no-frame-end", 4),
    ([sep("bos"), sep("trace_context_start"), "x", sep("eos")], "no-context-end", 3),
]  # fmt: skip


@pytest.mark.parametrize(("pieces", "reason", "place"), PROBLEMS)
def test_problems_are_named_and_the_steps_before_them_kept(tokenizer, pieces, reason, place):
    first = Step("call", "def f():\n", ())
    start = encode_step(first, tokenizer) if pieces[:1] != [sep("bos")] else []
    parsed = parse(start + tokenizer.encode_pieces(pieces), tokenizer)
    position = len(start) + len(tokenizer.encode_pieces(pieces[:place]))
    assert (parsed.error.reason, parsed.error.position) == (reason, position)
    assert parsed.frames == ((first,) if start else ())


@pytest.mark.parametrize("odd", [-1, 10**9])
def test_an_id_outside_the_vocabulary_is_named(tokenizer, odd):
    ids = encode_step(Step("line", "x\n", ()), tokenizer)
    for at in range(len(ids) + 1):
        parsed = parse([*ids[:at], odd, *ids[at:]], tokenizer)
        assert (parsed.error.reason, parsed.error.position) == ("outside-vocabulary", at)


def test_every_reason_is_explained_and_tested():
    assert set(get_args(Reason)) == set(EXPECTED)
    assert set(EXPECTED) == {reason for _, reason, _ in PROBLEMS} | {"outside-vocabulary"}


def test_a_problem_shows_the_tokens_around_it(tokenizer):
    ids = tokenizer.encode_pieces([sep("line_sep"), "x", sep("arg_sep"), "6"])
    assert str(parse(ids, tokenizer).error) == (
        "no-action at token 2: expected <|action_sep|> before a step's source line; "
        "found '<|arg_sep|>6' after '<|line_sep|>x'"
    )
    assert "found nothing after" in str(parse(ids[:2], tokenizer).error)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "9" * 100_000, '"' * 100_000, "\\" * 100_000]
)
def test_hostile_json_is_only_a_problem(tokenizer, text):
    for pieces in (
        [sep("call_sep"), text, sep("action_sep")],
        [sep("return_sep"), sep("action_sep"), sep("arg_sep"), text, sep("frame_sep")],
    ):
        parsed = parse(tokenizer.encode_pieces(pieces), tokenizer)
        assert parsed.error.reason.endswith("-not-json")


def test_a_long_trace_is_read_in_one_pass(tokenizer):
    frames = [Frame("line", "x = 1\n", (("a", str(n)), ("b", "1"))) for n in range(10_000)]
    trace = Trace("def f():\n", (Frame("call", "def f():\n", ()), *frames))
    ids, _ = encode(trace, tokenizer)
    assert parse(ids, tokenizer).frames == tuple(diff(trace.frames))
    broken = [tokenizer.special("line_sep"), *tokenizer.encode('{"a": "' + "1" * 200_000)]
    assert parse(broken * 2, tokenizer).error.position == len(broken)


def test_what_follows_the_end_is_ignored(tokenizer):
    steps = [Step("call", "def f():\n", ()), Step("return", "return 1\n", value="1")]
    for end in ("eos", "eot", "eom"):
        ids = [*encode_steps(steps, tokenizer), tokenizer.special(end), *tokenizer.encode("x")]
        parsed = parse(ids, tokenizer)
        assert parsed == ParsedTrace(tuple(steps), complete=True)
        assert final_value(parsed) == "1"


def test_going_on_after_the_entry_was_left_is_not_complete(tokenizer):
    leave = Step("return", "return 1\n", value="1")
    steps = [Step("call", "def f():\n", ()), leave, Step("line", "x\n", ()), leave]
    parsed = parse([*encode_steps(steps, tokenizer), tokenizer.special("eos")], tokenizer)
    assert parsed.error is None and not parsed.complete and final_value(parsed) is None
