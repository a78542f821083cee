"""Tasks as chats, through the stage."""

import pytest

from cluster.dag.metrics import read_statistics
from model.frames import diff
from model.trace import parse, unmark
from stages.tasks.task import Task, write_tasks
from stages.training.token_file import TokenFile
from tests.model.recording import record
from tests.stages.rows import program_row

ROW = program_row()


def task(kind, **changes):
    fields = {
        "id": f"{kind}:1",
        "kind": kind,
        "context": unmark(ROW["context"]),
        "entry": "main",
        "arguments": "",
        "answer": "6",
        "group": "g",
        "source": "program",
        "document": "",
        "origin": "generator",
        "licence": "Apache-2.0",
        "frames": tuple(ROW["frames"]) if kind == "trace" else (),
    }
    return Task(**(fields | changes))


@pytest.fixture
def chats(step, tmp_path):
    """Return a function (tasks) that tokenises them and returns (token file, statistics)."""

    def make(*tasks):
        for split in ("train", "heldout"):
            write_tasks(tmp_path / f"{split}.jsonl", tasks)
        context = step(tmp_path, "tasks", rendering="chats", max_tokens=600)
        return TokenFile(context.output), read_statistics(context.statistics_file)

    return make


def seen(file, tokenizer, index=0):
    ids, loss = file[index]
    return [i for i, weight in zip(ids.tolist(), loss.tolist(), strict=True) if weight]


def test_the_loss_sees_the_answer_only(chats, tokenizer):
    file, found = chats(task("output"))
    assert tokenizer.decode(seen(file, tokenizer)) == "6<|eot_id|>"
    assert file.keys == ["output:1"] and found["output.documents"] == 1
    ids = file[0][0].tolist()
    assert ids[0] == tokenizer.special("bos") and ids[-1] == tokenizer.special("eos")
    assert "assert main() ==<|eot_id|>" in tokenizer.decode(ids)


def test_a_trace_is_answered_in_special_tokens(chats, tokenizer):
    file, _ = chats(task("trace"))
    parsed = parse(seen(file, tokenizer), tokenizer)
    assert parsed.complete
    assert parsed.frames == tuple(diff(record(ROW["context"]).frames))


def test_a_chat_longer_than_the_context_is_dropped(chats):
    file, found = chats(task("output"), task("fix", context="x = 1\n" * 400, line=1, answer="x"))
    assert len(file) == 1 and found["dropped.too-long"] == 1 and found["fix.rows"] == 1
