"""A random model, a tokenizer and one artifact of each kind that an evaluation takes."""

from dataclasses import replace

import pytest
import torch

from cluster.dag.stage import Input
from model import CWM
from model.checkpoint import save_pretrained
from model.frames import Trace
from model.tokens import train_tokenizer
from model.trace import render
from stages.tasks.task import Task, write_tasks
from tests.model.tiny import CONFIG
from tests.stages.rows import program_row, write_corpus, write_traces

CODE = "def add_{n}(a, b):\n    total = a + {n}\n    return total * b\n\n"
BROKEN = "def double(x):\n    y = x * 3\n    return y\n"


def task_of(row, kind, number):
    """A task about a row's trace; fix tasks are about `BROKEN`."""
    tests = ((("double(2)", "4"), ("double(5)", "10")), (("double(7)", "14"),))
    return Task(
        id=f"{kind}:{number}",
        kind=kind,
        context=BROKEN if kind == "fix" else row["context"].replace("  # << START_OF_TRACE", ""),
        entry="double" if kind == "fix" else "main",
        arguments="",
        answer="    y = x * 2" if kind == "fix" else row["result"],
        group=row["group"],
        source="program",
        document="",
        origin="generator",
        licence="Apache-2.0",
        trace=row["key"],
        line=2 if kind == "fix" else 0,
        visible_tests=tests[0] if kind == "fix" else (),
        hidden_tests=tests[1] if kind == "fix" else (),
        frames=tuple(row["frames"]) if kind == "trace" else (),
    )


@pytest.fixture(scope="session")
def row():
    return program_row(1, 2)


@pytest.fixture(scope="session")
def tokenizer():
    rows = [program_row(a, a + 2) for a in range(4)]
    traces = [p for r in rows for p in render(Trace.from_row(r)) if isinstance(p, str)]
    return train_tokenizer(iter([*traces, CODE.format(n=3)] * 3), 500, "json_digits")


@pytest.fixture(scope="session")
def inputs(tmp_path_factory, tokenizer):
    """Input name -> `Input`, as the executor hands them to the stage."""
    folder = tmp_path_factory.mktemp("inputs")
    torch.manual_seed(0)
    config = replace(CONFIG, vocab_size=tokenizer.vocab_size, initializer_range=0.05)
    tokenizer.save(folder / "tokenizer")
    save_pretrained(CWM(config), folder / "checkpoint", folder / "tokenizer")
    write_corpus(
        folder / "corpus",
        [CODE.format(n=n) for n in range(20)],
        [CODE.format(n=n) for n in range(50, 60)],
    )
    rows = [program_row(a, a + 1) for a in range(4)]
    write_traces(folder / "traces", rows[:2], rows[2:])
    (folder / "tasks").mkdir()
    for split, chosen in (("train", rows[:2]), ("heldout", rows[2:])):
        tasks = [task_of(r, k, n) for n, r in enumerate(chosen) for k in ("output", "trace", "fix")]
        write_tasks(folder / "tasks" / f"{split}.jsonl", tasks)
    names = ("checkpoint", "corpus", "traces", "tasks")
    return {name: Input(path=folder / name, kind=name, digest="") for name in names}
