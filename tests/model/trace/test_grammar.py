"""Traces in CWM's grammar."""

import json

from model.frames import Frame, Step, Trace, diff
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
    assert unmark(f"x = '{MARK}'\n" + marked) == f"x = '{MARK}'\n" + source
    assert mark_line("def f(): pass", 1) == "def f(): pass" + MARK
    assert unmark(f"{marked}\nx{MARK}") == f"{source}\nx{MARK}"  # one mark at most
    assert mark_line("\x0c\ndef f(a='\u2028'):\n", 2) == "\x0c\ndef f(a='\u2028'):" + MARK + "\n"


def test_the_shown_json_is_what_metas_demo_writes(tokenizer):
    step = Step("line", "x\n", (("é", "'ü'"), ("b", '"')))
    text = tokenizer.decode(encode_step(step, tokenizer))
    assert json.dumps({"é": "'ü'", "b": '"'}) in text
    assert encode_context("", tokenizer)[-1] == tokenizer.special("frame_sep")
