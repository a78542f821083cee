"""The two sides of a task as text, and what an answer's text says."""

import json

import pytest

from model.tokens import Special
from stages.tasks.task import (
    Task,
    answer_message,
    apply_fix,
    extract_answer,
    prompt_messages,
    read_tasks,
    write_tasks,
)

from .conftest import frames_of

SOURCE = "def f(a, b):\n    c = a\n    c += b\n    return c\n"


def task(kind, **changes):
    fields = {
        "id": f"{kind}:1",
        "kind": kind,
        "context": SOURCE,
        "entry": "f",
        "arguments": "1, 2",
        "answer": "3",
        "group": "g",
        "source": "program",
        "document": "",
        "origin": "generator",
        "licence": "Apache-2.0",
    }
    return Task(**{**fields, **changes})


FIX = task(
    "fix",
    context=SOURCE.replace("+=", "-="),
    arguments="",
    answer="c += b",
    line=3,
    visible_tests=(("f(1, 2)", "3"), ("f(0, 4)", "4")),
    hidden_tests=(("f(5, 5)", "10"),),
)


def test_output_asks_for_the_right_side_of_an_assert():
    (message,) = prompt_messages(task("output"))
    assert (message.role, message.body) == ("user", SOURCE + "assert f(1, 2) ==")
    assert answer_message(task("output")).body == "3"


def test_trace_is_answered_with_frames_in_cwm_s_grammar():
    traced = task("trace", frames=tuple(frames_of(SOURCE, "1, 2", "3")))
    (message,) = prompt_messages(traced)
    assert message.body.endswith("assert f(1, 2) ==  # trace")
    body = answer_message(traced).body
    assert body[0] == Special("call_sep")
    assert json.dumps({"a": "1", "b": "2"}) in body
    written = "".join(f"<|{p.name}|>" if isinstance(p, Special) else p for p in body)
    assert extract_answer("trace", written) == "3"
    assert extract_answer("trace", written + "<|line_sep|>{") is None


def test_fix_marks_the_line_and_hides_the_hidden_tests():
    (message,) = prompt_messages(FIX)
    assert message.body == (
        "def f(a, b):\n    c = a\n    c -= b  # fix\n    return c\n"
        "assert f(1, 2) == 3\nassert f(0, 4) == 4"
    )
    assert "f(5, 5)" not in message.body


@pytest.mark.parametrize("answer", ["c += b", "    c += b", "\nc += b\n"])
def test_a_fix_is_indented_as_the_line_was(answer):
    assert apply_fix(FIX, extract_answer("fix", answer)) == SOURCE


def test_further_lines_of_a_fix_stay_as_they_are():
    answer = "if b:\n        c += b"
    assert apply_fix(FIX, answer) == (
        "def f(a, b):\n    c = a\n    if b:\n        c += b\n    return c\n"
    )


@pytest.mark.parametrize(
    ("kind", "text", "answer"),
    [
        ("output", " 3\nand so on", "3"),
        ("output", " \n", None),
        ("trace", "<|return_sep|>x<|arg_sep|>3<|frame_sep|>", None),
        ("trace", "no frames", None),
        ("fix", "\n", None),
    ],
)
def test_extract_answer(kind, text, answer):
    assert extract_answer(kind, text) == answer


def test_a_file_of_tasks_reads_back_equal(tmp_path):
    tasks = [FIX, task("trace", frames=tuple(frames_of(SOURCE, "1, 2", "3")))]
    write_tasks(tmp_path / "train.jsonl", tasks)
    assert read_tasks(tmp_path / "train.jsonl") == tasks
