"""Chats for fine-tuning whose answers are reasoned out, and those in which tools are used."""

import json

import pytest

from model.chat import parse_tool_call
from model.frames import diff
from model.trace import parse
from stages.forage.environment import ENVIRONMENT
from stages.forage.tools import edit_call
from stages.tasks.task import after_thinking, thinking_prompt
from stages.tokenize.chats import render_chats
from stages.tokenize.reasoning import render_reasoning
from stages.tokenize.settings import TokenizeSettings
from stages.tokenize.tool_use import render_tool_use
from tests.model.recording import record
from tests.stages.rows import program_row
from tests.stages.tokenize.test_chats import ROW, task
from tests.stages.tokenize.test_renderings import TURNS, only, seen, trajectory_row


def reasoned(tokenizer, made, **settings):
    row = {"id": made.id, "kind": made.kind, "origin": made.origin, "task": made}
    return only(render_reasoning, row, tokenizer, **{"max_tokens": 900, **settings})


def parts(document, tokenizer):
    """Return (prompt, thoughts, answer) of a chat with reasoning, as ids."""
    start, end = (tokenizer.special(f"reasoning_thinking_{n}") for n in ("start", "end"))
    ids = document.ids
    return (
        ids[: ids.index(start)],
        ids[ids.index(start) + 1 : ids.index(end)],
        ids[ids.index(end) + 1 :],
    )


def test_the_trace_is_thought_and_the_answer_follows(tokenizer):
    (document,) = reasoned(tokenizer, task("trace"), thoughts_in_words=0.0).documents
    _, thoughts, answer = parts(document, tokenizer)
    parsed = parse([*thoughts, tokenizer.special("eot")], tokenizer)
    assert parsed.complete
    assert parsed.frames == tuple(diff(record(ROW["context"]).frames))
    assert tokenizer.decode(answer) == "6<|eot_id|><|end_of_text|>"


def test_the_question_is_that_of_an_answer_without_thinking(tokenizer):
    (document,) = reasoned(tokenizer, task("trace")).documents
    prompt = parts(document, tokenizer)[0]
    settings = TokenizeSettings(max_tokens=900)
    (direct,) = render_chats([{"task": task("output")}], tokenizer, settings)
    assert direct.documents[0].ids[: len(prompt)] == prompt
    # what is asked for reasoning ends where training's thoughts begin
    start = tokenizer.special("reasoning_thinking_start")
    ids = document.ids
    assert tokenizer.decode(after_thinking(ids[ids.index(start) :], tokenizer)[:1]) == "6"
    assert after_thinking(prompt, tokenizer) is None
    assert thinking_prompt(task("trace"), tokenizer) == [*prompt, start]


@pytest.mark.parametrize("words", [0.0, 1.0])
def test_the_model_never_learns_to_start_thinking(tokenizer, words):
    (document,) = reasoned(tokenizer, task("trace"), thoughts_in_words=words).documents
    start = document.ids.index(tokenizer.special("reasoning_thinking_start"))
    assert document.loss[: start + 1] == [0] * (start + 1)
    assert document.loss[start + 1 : -1] == [255] * (len(document.ids) - start - 2)
    assert seen(document, tokenizer).endswith("<|reasoning_thinking_end|>6<|eot_id|>")


def test_thoughts_in_words_are_prose_alone(tokenizer):
    (document,) = reasoned(tokenizer, task("trace"), thoughts_in_words=1.0).documents
    _, thoughts, answer = parts(document, tokenizer)
    text = tokenizer.decode(thoughts)
    assert "main" in text and "[" not in text and "<|" not in text
    assert tokenizer.decode(answer) == "6<|eot_id|><|end_of_text|>"


def test_both_kinds_of_thought_at_the_rate_asked(tokenizer):
    frame = tokenizer.special("frame_sep")
    documents = [
        reasoned(tokenizer, task("trace", id=f"trace:{n}"), thoughts_in_words=0.3).documents[0]
        for n in range(100)
    ]
    assert 15 < sum(frame not in document.ids for document in documents) < 45


def test_what_is_not_proven_is_left_out(tokenizer):
    assert reasoned(tokenizer, task("output")).dropped == "no-trace"
    assert reasoned(tokenizer, task("trace", answer="7")).dropped == "unproven"
    assert reasoned(tokenizer, task("trace"), max_tokens=60).dropped == "too-long"
    shown = program_row()["frames"]
    cut = [*shown[:-1], {**shown[-1], "value": "[1, ...]"}]
    made = task("trace", answer="[1, ...]", frames=tuple(cut))
    assert reasoned(tokenizer, made, thoughts_in_words=1.0).dropped == "unchecked"


def test_tools_are_named_and_only_the_agent_is_learned_from(tokenizer):
    row = trajectory_row(TURNS) | {"outcome": "fixed"}
    (document,) = only(render_tool_use, row, tokenizer).documents
    text = tokenizer.decode(document.ids)
    assert text.count(ENVIRONMENT) == 1
    assert text.index("# Environment") < text.index("fix f<|eot_id|>")
    assert "<|start_header_id|>tool: bash<|end_header_id|>\n\nf.py\n<|eot_id|>" in text
    assert seen(document, tokenizer) == "<tool: bash>\nls\n</tool><|eot_id|>done<|eot_id|>"


def test_failures_teach_no_tool_use(tokenizer):
    row = trajectory_row(TURNS) | {"outcome": "failed"}
    assert only(render_tool_use, row, tokenizer).dropped == "failed"


def test_long_results_of_tools_are_cut(tokenizer):
    turns = [*TURNS[:2], ("env", "tool: bash", "out " * 500), TURNS[3]]
    row = trajectory_row(turns) | {"outcome": "fixed"}
    (document,) = only(render_tool_use, row, tokenizer, observation_tokens=20).documents
    assert "[...]<|eot_id|>" in tokenizer.decode(document.ids)


def test_the_environment_says_how_the_tools_are_called():
    """What it shows of an edit is what the tool reads."""
    shown = edit_call("PATH", "OLD", "NEW").split("\n")
    edit = next(p for p in ENVIRONMENT.split("<tool: ") if p.startswith("edit>"))
    assert [line for line in shown if line[0] in "<=>"] == [
        line for line in edit.split("\n")[1:] if line[:3] in ("<<<", "===", ">>>")
    ]
    for tool in ("bash", "edit", "create", "submit"):
        start = ENVIRONMENT.index(f"<tool: {tool}>")
        end = ENVIRONMENT.index("</tool>", start) + len("</tool>")
        assert parse_tool_call(ENVIRONMENT[start:end]).name == tool


def test_through_the_stage(step, tmp_path):
    from stages.tasks.task import write_tasks
    from stages.training.token_file import TokenFile

    for split in ("train", "heldout"):
        write_tasks(tmp_path / f"{split}.jsonl", [task("trace"), task("output")])
    made = step(tmp_path, "tasks", rendering="reasoning", groups=("trace",), max_tokens=900)
    file = TokenFile(made.output)
    assert file.keys == ["trace:1"]
    assert json.loads((made.output / "meta.json").read_text())["rendering"] == "reasoning"
