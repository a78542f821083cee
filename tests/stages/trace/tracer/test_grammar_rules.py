"""The rules of CWM's trace grammar, one by one, on programs that were really traced.

Sources: the published prompting guide, the paper's figure of two traces, and Meta's demo debugger;
what they leave open is written down in docs/tracing.md.
"""

import json

import pytest

from model.frames import Trace, diff
from model.tokens import Special
from model.trace import mark_line, render
from model.trace.grammar import step_pieces
from tests.stages.trace.tracer.traces import ENGINES, trace


def pieces(source, entry="main", arguments="", **limits):
    """Trace with both engines; return the document, its special tokens as <|name|>."""
    made = []
    for engine in ENGINES.values():
        recording = trace(source, entry, arguments, engine, **limits)
        line = source[: source.index(f"def {entry}(")].count("\n") + 1
        row = {"context": mark_line(source, line), "frames": recording.frames}
        document = render(Trace.from_row(row))
        made.append([f"<|{p.name}|>" if isinstance(p, Special) else p for p in document])
    assert made[0] == made[1]
    return made[0]


def steps(source, entry="main", arguments="", **limits):
    """Return the frames alone, each as text."""
    text = "".join(pieces(source, entry, arguments, **limits))
    return text.split("<|frame_sep|>")[1:-1]


EXAMPLE = """\
def half(n):
    return n // 2

def main():
    total = 9
    rest = half(total)
    return rest
"""


def test_a_whole_document_token_for_token():
    assert pieces(EXAMPLE) == [
        "<|bos|>", "<|trace_context_start|>",
        EXAMPLE.replace("def main():", "def main():  # << START_OF_TRACE"), "<|frame_sep|>",
        "<|call_sep|>", "{}", "<|action_sep|>", "def main():\n", "<|frame_sep|>",
        "<|line_sep|>", "{}", "<|action_sep|>", "    total = 9\n", "<|frame_sep|>",
        "<|line_sep|>", '{"total": "9"}', "<|action_sep|>", "    rest = half(total)\n",
        "<|frame_sep|>",
        "<|call_sep|>", '{"n": "9"}', "<|action_sep|>", "def half(n):\n", "<|frame_sep|>",
        "<|line_sep|>", '{"n": ".."}', "<|action_sep|>", "    return n // 2\n", "<|frame_sep|>",
        "<|return_sep|>", "<|action_sep|>", "    return n // 2\n", "<|arg_sep|>", '"4"',
        "<|frame_sep|>",
        "<|line_sep|>", '{"total": "9", "rest": "4"}', "<|action_sep|>", "    return rest\n",
        "<|frame_sep|>",
        "<|return_sep|>", "<|action_sep|>", "    return rest\n", "<|arg_sep|>", '"4"',
        "<|frame_sep|>", "<|eos|>",
    ]  # fmt: skip


def test_values_are_json_strings_of_reprs_with_the_default_separators():
    source = "def main(a, b):\n    return a\n"
    assert steps(source, "main", "'é\"', [1, 'x']")[0] == (
        '<|call_sep|>{"a": "\'\\u00e9\\"\'", "b": "[1, \'x\']"}<|action_sep|>def main(a, b):\n'
    )
    assert json.loads('"\'\\u00e9\\"\'"') == repr('é"')


def test_a_source_is_the_whole_physical_line_with_its_newline():
    source = "def main():\n    x = max(\n        1,  # one\n        len('ab'),\n    )\n    return x"
    shown = [each.split("<|action_sep|>")[1] for each in steps(source)]
    assert shown[1] == "    x = max(\n"
    assert shown[2] == "        len('ab'),\n" or shown[2] == "        1,  # one\n"
    assert all(each.split("<|arg_sep|>")[0].endswith("\n") for each in shown)
    assert shown[-1].startswith("    return x\n")  # the last line of a file gets one too


def test_the_entry_line_is_marked_in_the_context_and_not_in_the_frames():
    document = pieces(EXAMPLE)
    assert document[2].count("# << START_OF_TRACE") == 1
    assert "# << START_OF_TRACE" not in "".join(document[3:])


def test_unchanged_values_are_two_dots_for_each_variable():
    source = "def main(a, b):\n    a = a + 1\n    b = b\n    return a\n"
    assert [each.split("<|action_sep|>")[0] for each in steps(source, "main", "1, 2")[:4]] == [
        '<|call_sep|>{"a": "1", "b": "2"}',
        '<|line_sep|>{"a": "..", "b": ".."}',  # the call's frame counts as the one before
        '<|line_sep|>{"a": "2", "b": ".."}',
        '<|line_sep|>{"a": "..", "b": ".."}',
    ]


def test_an_assignment_that_leaves_the_value_equal_is_unchanged():
    source = "def main():\n    a = [1]\n    a = [1]\n    return a\n"
    assert steps(source)[3].startswith('<|line_sep|>{"a": ".."}')


def test_equal_is_what_reads_the_same():
    source = "def main():\n    a = [1]\n    a = [True]\n    a = [1.0]\n    return a\n"
    shown = [json.loads(each[12:].split("<|")[0]) for each in steps(source)[2:5]]
    assert shown == [{"a": "[1]"}, {"a": "[True]"}, {"a": "[1.0]"}]


def test_a_name_that_was_deleted_comes_back_in_full():
    source = "def main():\n    x = 1\n    del x\n    x = 1\n    return x\n"
    shown = [each[12:].split("<|")[0] for each in steps(source)[2:5]]
    assert shown == ['{"x": "1"}', "{}", '{"x": "1"}']


def test_back_in_the_caller_all_locals_are_shown_in_full():
    source = "def f():\n    return 1\ndef main():\n    a = 5\n    f()\n    f()\n    return a\n"
    lines = [each for each in steps(source) if each.startswith("<|line_sep|>") and "f()" in each]
    assert [each[12:].split("<|")[0] for each in lines] == ['{"a": "5"}', '{"a": "5"}']


def test_every_call_shows_all_its_arguments():
    source = "def main(n, k):\n    return n and main(n - 1, k)\n"
    calls = [each for each in steps(source, "main", "2, 7") if each.startswith("<|call_sep|>")]
    assert [json.loads(each[12:].split("<|")[0]) for each in calls] == [
        {"n": "2", "k": "7"},
        {"n": "1", "k": "7"},
        {"n": "0", "k": "7"},
    ]


def test_a_resumed_generator_shows_all_its_locals():
    source = "def g(k):\n    a = 1\n    yield a\n    yield k\ndef main():\n    return list(g(3))\n"
    calls = [each for each in steps(source) if each.startswith("<|call_sep|>")]
    assert calls[2] == '<|call_sep|>{"k": "3", "a": "1"}<|action_sep|>    yield a\n'


def test_returns_and_exceptions_have_a_value_and_no_locals():
    source = "def f(x):\n    return 1 // x\ndef main():\n    return f(0)\n"
    error = json.dumps("ZeroDivisionError('integer division or modulo by zero')")
    assert steps(source)[4:] == [
        f"<|exception_sep|><|action_sep|>    return 1 // x\n<|arg_sep|>{error}",
        '<|return_sep|><|action_sep|>    return 1 // x\n<|arg_sep|>"None"',
        f"<|exception_sep|><|action_sep|>    return f(0)\n<|arg_sep|>{error}",
        '<|return_sep|><|action_sep|>    return f(0)\n<|arg_sep|>"None"',
    ]


def test_what_unwinds_reads_as_a_return_of_none_and_is_told_apart_in_the_frames():
    unwinds = trace("def main():\n    raise KeyError\n").frames[-1]
    returns = trace("def main():\n    return None\n").frames[-1]
    assert (unwinds["value"], returns["value"]) == ("None", "None")
    assert (unwinds["unwinding"], returns["unwinding"]) == (True, False)


def test_globals_are_not_shown():
    source = "count = 0\ndef main():\n    global count\n    count += 1\n    return count\n"
    assert all("{}" in each for each in steps(source) if each.startswith("<|line_sep|>"))


@pytest.mark.parametrize("text", ["<|frame_sep|>", "<|end_of_text|>", '"}<|action_sep|>'])
def test_what_looks_like_a_special_token_is_text(text):
    source = f"def main():\n    s = {text!r}\n    return s\n"
    frames = Trace.from_row({"context": source, "frames": trace(source).frames}).frames
    for step in diff(frames):
        found = step_pieces(step)
        specials = [each.name for each in found if isinstance(each, Special)]
        assert specials[0].endswith("_sep") and specials[-1] == "frame_sep"
        assert len(specials) == (2 if step.value is None else 3) + 1


def test_a_repr_of_two_dots_is_not_taken_for_unchanged():
    source = (
        "class D:\n    def __repr__(self):\n        return '..'\n"
        "def main():\n    d = D()\n    return d\n"
    )
    assert '{"d": "<..>"}' in steps(source)[2]


def test_a_trace_that_a_budget_cut_ends_after_its_last_frame():
    document = pieces("def main():\n    while True:\n        pass\n", events=4)
    assert document[-2:] == ["<|frame_sep|>", "<|eos|>"]
    assert document.count("<|frame_sep|>") == 5  # the context's and the four frames'
