"""CWM's grammar in both directions."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.frames import Frame, Step, Trace, diff, leaves_scope, resolve
from model.tokens import Special
from model.trace import (
    MARK,
    encode,
    encode_context,
    encode_step,
    encode_steps,
    entry_prompt,
    final_value,
    mark_line,
    parse,
    render,
    unmark,
)
from tests.model.recording import record

PROGRAM = f"""def f(a, b):
    y = 0
    for i in range(a, b + 1):
        y += i
    return y

def main():{MARK}
    return f(1, 3)
"""

EXPECTED = """\
<|call_sep|>{}<|action_sep|>def main():  # << START_OF_TRACE
<|frame_sep|><|line_sep|>{}<|action_sep|>    return f(1, 3)
<|frame_sep|><|call_sep|>{"a": "1", "b": "3"}<|action_sep|>def f(a, b):
<|frame_sep|><|line_sep|>{"a": "..", "b": ".."}<|action_sep|>    y = 0
<|frame_sep|><|line_sep|>{"a": "..", "b": "..", "y": "0"}<|action_sep|>    for i in range(a, b + 1):
<|frame_sep|><|line_sep|>{"a": "..", "b": "..", "y": "..", "i": "1"}<|action_sep|>        y += i
<|frame_sep|><|line_sep|>{"a": "..", "b": "..", "y": "1", "i": ".."}<|action_sep|>    for i in range(a, b + 1):
<|frame_sep|><|line_sep|>{"a": "..", "b": "..", "y": "..", "i": "2"}<|action_sep|>        y += i
<|frame_sep|><|line_sep|>{"a": "..", "b": "..", "y": "3", "i": ".."}<|action_sep|>    for i in range(a, b + 1):
<|frame_sep|><|line_sep|>{"a": "..", "b": "..", "y": "..", "i": "3"}<|action_sep|>        y += i
<|frame_sep|><|line_sep|>{"a": "..", "b": "..", "y": "6", "i": ".."}<|action_sep|>    for i in range(a, b + 1):
<|frame_sep|><|line_sep|>{"a": "..", "b": "..", "y": "..", "i": ".."}<|action_sep|>    return y
<|frame_sep|><|return_sep|><|action_sep|>    return y
<|arg_sep|>"6"<|frame_sep|><|return_sep|><|action_sep|>    return f(1, 3)
<|arg_sep|>"6"<|frame_sep|><|end_of_text|>"""  # noqa: E501  # one frame per line


def test_the_papers_figure_is_reproduced(tokenizer):
    trace = record(PROGRAM)
    ids, is_context = encode(trace, tokenizer)
    context = "<|begin_of_text|><|trace_context_start|>" + PROGRAM + "<|frame_sep|>"
    assert len(trace.frames) == 14
    assert tokenizer.decode(ids) == context + EXPECTED
    assert tokenizer.decode(i for i, c in zip(ids, is_context, strict=True) if c) == context
    assert ids == tokenizer.encode_pieces(render(trace))


def test_a_prompt_is_everything_up_to_the_first_call(tokenizer):
    trace = record(PROGRAM)
    ids, _ = encode(trace, tokenizer)
    prompt = entry_prompt(trace.context, trace.frames[0], tokenizer)
    assert ids[: len(prompt)] == prompt
    assert ids[len(prompt) - 1] == tokenizer.special("frame_sep")
    rest = parse(ids[len(prompt) :], tokenizer)
    assert rest.frames == tuple(diff(trace.frames)[1:])
    assert rest.context is None and rest.error is None


def test_a_parsed_trace_says_what_it_returns(tokenizer):
    trace = record(PROGRAM)
    parsed = parse(encode(trace, tokenizer)[0], tokenizer)
    assert parsed.complete and parsed.context == PROGRAM
    assert final_value(parsed) == "6"
    raised = record(PROGRAM.replace("return y", "return y / 0"))
    assert [frame.event for frame in raised.frames[-4:]] == ["exception", "return"] * 2
    assert final_value(parse(encode(raised, tokenizer)[0], tokenizer)) is None
    cut = encode_steps(diff(trace.frames[:-1]), tokenizer)
    assert final_value(parse([*cut, tokenizer.special("eos")], tokenizer)) is None


def test_special_tokens_in_values_and_sources_stay_text(tokenizer):
    value = repr("<|frame_sep|><|end_of_text|>")
    source = f"return {value}\n"
    frames = (
        Frame("call", "def f(): # <|eos|>\n", (("a", value),)),
        Frame("return", source, value=value),
    )
    parsed = parse(encode(Trace(source, frames), tokenizer)[0], tokenizer)
    assert parsed.complete and parsed.frames == tuple(diff(frames))


def test_marks_are_put_on_a_line_and_taken_off():
    source = "x = 1\r\ndef f():\r\n    pass\r\n"
    marked = mark_line(source, 2)
    assert marked == "x = 1\r\ndef f():" + MARK + "\r\n    pass\r\n"
    assert unmark(marked) == source
    assert mark_line("def f(): pass", 1) == "def f(): pass" + MARK
    assert mark_line("\x0c\ndef f(a='\u2028'):\n", 2) == "\x0c\ndef f(a='\u2028'):" + MARK + "\n"


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
NAMES = st.text("abcxyz_é", min_size=1, max_size=3)
LOCALS = st.dictionaries(NAMES, TEXT.filter(lambda text: text != ".."), max_size=4)


@st.composite
def frames_strategy(draw):
    """Draw frames with nested calls, values that often stay equal, and exceptions."""
    frames = [Frame("call", draw(TEXT), tuple(draw(LOCALS).items()))]
    scopes = [dict(frames[0].locals)]
    for _ in range(draw(st.integers(0, 12))):
        if not scopes:
            break
        event = draw(st.sampled_from(["call", "line", "line", "line", "return", "exception"]))
        if event in ("return", "exception"):
            frames.append(Frame(event, draw(TEXT), value=draw(TEXT)))
            if event == "return":
                scopes.pop()
            continue
        if event == "call":
            scopes.append({})
        scopes[-1] = {**scopes[-1], **draw(LOCALS)}
        frames.append(Frame(event, draw(TEXT), tuple(scopes[-1].items())))
    return tuple(frames)


@settings(max_examples=150, deadline=None)
@given(context=TEXT, frames=frames_strategy())
def test_parsing_inverts_encoding_and_resolving_inverts_diffing(tokenizer, context, frames):
    ids, _ = encode(Trace(context, frames), tokenizer)
    parsed = parse(ids, tokenizer)
    assert parsed.error is None
    assert parsed.frames == tuple(diff(frames))
    assert parsed.context == context
    assert parsed.complete == leaves_scope(frames)
    full = [Step(f.event, f.source, f.locals, f.value) for f in frames]
    assert resolve(parsed.frames) == full


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_parsing_never_raises(tokenizer, data):
    specials = [tokenizer.regular_size + n for n in (0, 1, 9, *range(100, 108))]
    some = st.sampled_from(specials) | st.integers(0, tokenizer.vocab_size - 1)
    ids = data.draw(st.lists(some, max_size=40))
    parsed = parse(ids, tokenizer)
    assert parsed.error is None or 0 <= parsed.error.position <= len(ids)
    assert not (parsed.error and parsed.complete)


def sep(name):
    return Special(name)


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ([], "truncated"),
        (["x"], "no-event"),
        ([sep("line_sep"), "{}"], "truncated"),
        ([sep("line_sep"), "{", sep("action_sep")], "locals-not-json"),
        ([sep("line_sep"), '{"a": "1", "a": "2"}', sep("action_sep")], "locals-name-twice"),
        ([sep("line_sep"), '{"a": 1}', sep("action_sep")], "locals-not-strings"),
        ([sep("line_sep"), "[]", sep("action_sep")], "locals-not-strings"),
        ([sep("line_sep"), "{}", sep("arg_sep")], "no-action"),
        ([sep("line_sep"), "{}", sep("action_sep"), "x", sep("arg_sep")], "no-frame-end"),
        ([sep("return_sep"), "{}", sep("action_sep")], "no-action"),
        ([sep("return_sep"), sep("action_sep"), "x", sep("frame_sep")], "no-value"),
        ([sep("return_sep"), sep("action_sep"), "x", sep("arg_sep"), "1", sep("frame_sep")],
         "value-not-string"),
        ([sep("bos"), sep("trace_context_start"), "x", sep("eos")], "no-context-end"),
    ],
)  # fmt: skip
def test_problems_are_named_and_the_steps_before_them_kept(tokenizer, pieces, reason):
    first = Step("call", "def f():\n", ())
    start = encode_step(first, tokenizer) if pieces[:1] != [sep("bos")] else []
    parsed = parse(start + tokenizer.encode_pieces(pieces), tokenizer)
    assert parsed.error is not None and parsed.error.reason == reason
    assert parsed.error.position >= len(start)
    assert parsed.frames == ((first,) if start else ())


def test_the_shown_json_is_what_metas_demo_writes(tokenizer):
    step = Step("line", "x\n", (("é", "'ü'"), ("b", '"')))
    text = tokenizer.decode(encode_step(step, tokenizer))
    assert json.dumps({"é": "'ü'", "b": '"'}) in text
    assert encode_context("", tokenizer)[-1] == tokenizer.special("frame_sep")
