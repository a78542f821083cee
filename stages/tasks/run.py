"""Choose tasks from traces and trajectories, split by split."""

from __future__ import annotations

import ast
import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cluster.dag.metrics import write_statistics
from cluster.dag.stage import StepContext
from cluster.sandbox import Sandbox
from model.trace import unmark
from stages.tables import read_table
from stages.tasks.alone import self_contained
from stages.tasks.choose import frames_of, groups, order, take, usable
from stages.tasks.fixes import Candidate, make_fixes
from stages.tasks.settings import TaskSettings
from stages.tasks.task import Task, TaskKind, write_tasks
from stages.tasks.verify import PRELOAD, same_value

log = logging.getLogger(__name__)

Row = dict[str, Any]
SPLITS = ("train", "heldout")


def run(context: StepContext) -> None:
    """Write ``train.jsonl`` and ``heldout.jsonl``."""
    settings: TaskSettings = context.settings
    traces, trajectories = (context.inputs[n].path for n in ("traces", "trajectories"))
    heldout_groups = groups(traces / "heldout")
    statistics: dict[str, Any] = {}
    with Sandbox(preload=PRELOAD) as box:
        for split in SPLITS:
            rows = list(usable(traces / split, settings))
            if split == "train":
                apart = [row for row in rows if row["group"] not in heldout_groups]
                statistics["straddling"] = len(rows) - len(apart)
                rows = apart
            if settings.self_contained:
                asked = list(self_contained(rows, box))
                statistics[f"not_self_contained_{split}"] = len(rows) - len(asked)
                rows = asked
            tasks = _questions(rows, traces / split, _counts(split, settings), settings)
            repairs = list(read_table(trajectories / split))
            tasks += _fixes(rows, repairs, _counts(split, settings)["fix"], settings, box)
            unique = {task.id: task for task in tasks}
            write_tasks(context.output / f"{split}.jsonl", (unique[n] for n in sorted(unique)))
            statistics |= _count(split, list(unique.values()))
            log.info("%s: %d tasks", split, len(unique))
    write_statistics(context.statistics_file, statistics)


def _counts(split: str, settings: TaskSettings) -> dict[str, int]:
    if split == "heldout":
        return dict.fromkeys(("output", "trace", "fix"), settings.heldout_tasks)
    return {
        "output": settings.output_tasks,
        "trace": settings.trace_tasks,
        "fix": settings.fix_tasks,
    }


def _count(split: str, tasks: list[Task]) -> dict[str, int]:
    counts = Counter(f"{task.kind}_{split}" for task in tasks)
    counts.update(f"{task.kind}_{task.source}_{split}" for task in tasks)
    return {**counts, split: len(tasks)}


def _questions(
    rows: list[Row], traces: Path, counts: dict[str, int], settings: TaskSettings
) -> list[Task]:
    """Return the tasks that ask about a call: for its value, and for its trace."""
    asked = take(rows, counts["output"], settings)
    short = [row for row in rows if row["frame_count"] <= settings.max_frames]
    traced = take(short, counts["trace"], settings)
    frames = frames_of(traces, (row["key"] for row in traced))
    tasks = [_question("output", row) for row in asked]
    return tasks + [_question("trace", row, frames[row["key"]]) for row in traced]


def _fixes(
    rows: list[Row], repairs: list[Row], count: int, settings: TaskSettings, box: Sandbox
) -> list[Task]:
    """Return the fix tasks: of real functions up to their share, then of programs."""
    share = int(count * settings.function_fraction)
    real = list(make_fixes(_real_candidates(rows, repairs, settings), share, settings, box))
    log.info("%d fix tasks from real functions", len(real))
    return real + list(make_fixes(_program_candidates(rows), count - len(real), settings, box))


def _origin(row: Row) -> dict[str, Any]:
    names = ("group", "source", "document", "origin", "licence")
    return {**{name: row[name] for name in names}, "trace": row["key"]}


def _question(kind: TaskKind, row: Row, frames: Iterable[Row] = ()) -> Task:
    return Task(
        id=f"{kind}:{row['key'][:16]}",
        kind=kind,
        context=unmark(row["context"]),
        entry=row["entry"],
        arguments=row["arguments"],
        answer=row["result"],
        argument_equal=equals_an_argument(row["arguments"], row["result"]),
        frames=tuple(frames),
        **_origin(row),
    )


def equals_an_argument(arguments: str, result: str) -> bool:
    """Say whether the result is the value of one of the arguments: then copying is enough to
    answer.
    """
    call = ast.parse(f"f({arguments})", mode="eval").body
    assert isinstance(call, ast.Call)
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    return any(same_value(ast.unparse(value), result) for value in values)


def _program_candidates(rows: Iterable[Row]) -> Iterator[Candidate]:
    for row in rows:
        if row["source"] == "program":
            yield _candidate(row)


def _candidate(row: Row) -> Candidate:
    call = f"{row['entry']}({row['arguments']})"
    return Candidate(unmark(row["context"]), row["entry"], call, _origin(row))


def _real_candidates(
    rows: list[Row], repairs: list[Row], settings: TaskSettings
) -> Iterator[Candidate]:
    """Yield short real functions, each once: from traces, then from mutate-fix trajectories.

    Only those that run without their module make a task; trying them out shows which.
    """
    seen = set()
    for row in rows:
        candidate = _candidate(row)
        if row["source"] == "function" and candidate.source not in seen:
            seen.add(candidate.source)
            yield candidate
    for row in sorted(repairs, key=lambda row: order(row["key"], settings.seed)):
        source, entry = row["original"], row["name"].rpartition(":")[2]
        calls = [t["call"] for t in json.loads(row["tests"]) if _is_call(t["call"], entry)]
        if source not in seen and len(source) <= settings.max_context_chars and calls:
            seen.add(source)
            origin = {**_origin({**row, "source": "function"}), "trace": ""}
            yield Candidate(source, entry, calls[0], origin)


def _is_call(text: str, entry: str) -> bool:
    """Say whether an example is a plain call of the function; it may be any statement."""
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError:
        return False
    return isinstance(node, ast.Call) and ast.unparse(node.func) == entry
