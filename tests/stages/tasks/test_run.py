"""The stage as a whole: kinds, splits, and what must not straddle them."""

import json

import pytest

from cluster.dag.metrics import read_statistics
from cluster.dag.stage import Input, StepContext
from stages.kind_checks import check_tasks, digest_tasks
from stages.tables import TRACES, TRAJECTORIES, write_table
from stages.tasks.run import equals_an_argument, run
from stages.tasks.settings import TaskSettings
from stages.tasks.task import read_tasks

from .conftest import trace_row


def programs(start, count):
    for i in range(start, start + count):
        source = f"def f(a, b):\n    c = a + {i}\n    return c - b\n"
        yield trace_row(source, "9, 2", str(7 + i))


REPAIR = {
    "key": "k",
    "task": "mutate-fix",
    "document": "d" * 64,
    "origin": "some",
    "licence": "MIT",
    "name": "some.module:double",
    "family": "operators",
    "original": "def double(n):\n    return n + n\n",
    "mutated": "def double(n):\n    return n - n\n",
    "tests": json.dumps([{"call": "double(4)", "expected": "8"}]),
    "turns": [],
    "outcome": "fixed",
    "reward": 1.0,
    "group": "d" * 64,
    "python": "3.11",
    "sandbox": "bwrap",
}


def make(folder, train, heldout, settings):
    for split, rows in (("train", train), ("heldout", heldout)):
        write_table(folder / "traces" / split, TRACES, rows)
        write_table(folder / "repairs" / split, TRAJECTORIES, [REPAIR] if split == "train" else [])
    output = folder / "out"
    output.mkdir()
    context = StepContext(
        step="tasks",
        settings=settings,
        placement=None,
        inputs={
            "traces": Input(path=folder / "traces", kind="traces", digest=""),
            "trajectories": Input(path=folder / "repairs", kind="trajectories", digest=""),
        },
        output=output,
        scratch=folder,
    )
    run(context)
    check_tasks(output)
    return context


def test_all_kinds_from_their_own_split(tmp_path):
    train, heldout = list(programs(0, 12)), list(programs(50, 6))
    straddling = {**next(programs(90, 1)), "group": heldout[0]["group"]}
    cut = {**next(programs(91, 1)), "outcome": "event-budget"}
    settings = TaskSettings(output_tasks=10, trace_tasks=8, fix_tasks=4, heldout_tasks=5)
    context = make(tmp_path, [*train, straddling, cut], heldout, settings)
    tasks = {s: read_tasks(context.output / f"{s}.jsonl") for s in ("train", "heldout")}
    counts = {
        s: [sum(t.kind == k for t in tasks[s]) for k in ("output", "trace", "fix")] for s in tasks
    }
    assert counts == {"train": [10, 8, 4], "heldout": [5, 5, 5]}
    groups = {s: {t.group for t in tasks[s]} for s in tasks}
    assert not groups["train"] & groups["heldout"]
    assert straddling["group"] not in groups["train"]
    real = [t for t in tasks["train"] if t.source == "function"]
    assert [(t.kind, t.entry, t.origin, t.answer) for t in real] == [
        ("fix", "double", "some", "return n + n")
    ]
    found = read_statistics(context.statistics_file)
    assert (found["straddling"], found["fix_function_train"], found["heldout"]) == (1, 1, 15)


def test_the_same_inputs_make_the_same_tasks(tmp_path):
    digests = set()
    for name in "ab":
        (tmp_path / name).mkdir()
        settings = TaskSettings(output_tasks=3, trace_tasks=3, fix_tasks=3, heldout_tasks=2)
        context = make(tmp_path / name, list(programs(0, 6)), list(programs(9, 3)), settings)
        digests.add(digest_tasks(context.output))
    assert len(digests) == 1


def test_answers_that_copy_an_argument_are_told_apart():
    assert equals_an_argument("1, 'ab'", "'ab'")
    assert equals_an_argument("x=[1,2]", "[1, 2]")
    assert not equals_an_argument("1, 2", "3")
    assert not equals_an_argument("", "3")


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="visible_tests=0"):
        TaskSettings(visible_tests=0)


@pytest.mark.parametrize("alone", [False, True])
def test_functions_that_need_their_module_can_be_left_out(tmp_path, alone):
    needy = "def f(a):\n    return TABLE.get(a, a)\n"
    rows = [
        trace_row(needy, "'BETA'", "'b'"),
        trace_row("def f(a):\n    return a.lower()\n", "'BETA'", "'beta'"),
        trace_row("def f(a):\n    return exit()\n", "1", "1"),
    ]
    rows = [row | {"source": "function"} for row in rows] + list(programs(0, 4))
    settings = TaskSettings(
        output_tasks=9, trace_tasks=0, fix_tasks=0, function_fraction=1.0, self_contained=alone
    )
    context = make(tmp_path, rows, list(programs(9, 2)), settings)
    tasks = read_tasks(context.output / "train.jsonl")
    answers = {task.answer for task in tasks if task.source == "function"}
    assert answers == ({"'beta'"} if alone else {"'b'", "'beta'", "1"})
    assert sum(task.source == "program" for task in tasks) == 4
    found = read_statistics(context.statistics_file)
    assert found.get("not_self_contained_train") == (2 if alone else None)
