"""Choose tasks from traces and trajectories, split by split."""

from __future__ import annotations

import ast
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cluster.dag.metrics import write_statistics
from cluster.dag.stage import StepContext
from cluster.sandbox import Sandbox
from stages.tables import read_table
from stages.tasks.fixes import Candidate, is_literal, make_fixes
from stages.tasks.settings import TaskSettings
from stages.tasks.task import Task, TaskKind, strip_mark, write_tasks
from stages.tasks.verify import PRELOAD, same_value

log = logging.getLogger(__name__)

Row = dict[str, Any]
SPLITS = ("train", "heldout")


def run(context: StepContext) -> None:
    """Write ``train.jsonl`` and ``heldout.jsonl``."""
    settings: TaskSettings = context.settings
    traces, trajectories = (context.inputs[n].path for n in ("traces", "trajectories"))
    rows = {split: list(_usable(traces / split, settings)) for split in SPLITS}
    heldout_groups = {row["group"] for row in rows["heldout"]}
    train = [row for row in rows["train"] if row["group"] not in heldout_groups]
    statistics: dict[str, Any] = {"straddling": len(rows["train"]) - len(train)}
    rows["train"] = train
    with Sandbox(preload=PRELOAD) as box:
        for split in SPLITS:
            repairs = list(read_table(trajectories / split))
            tasks = _make(rows[split], repairs, split, settings, box)
            write_tasks(context.output / f"{split}.jsonl", tasks)
            counts = Counter(f"{task.kind}_{split}" for task in tasks)
            counts.update(f"{task.kind}_{task.source}_{split}" for task in tasks)
            statistics |= {**counts, split: len(tasks)}
            log.info("%s: %d tasks", split, len(tasks))
    write_statistics(context.statistics_file, statistics)


def _make(
    rows: list[Row], repairs: list[Row], split: str, settings: TaskSettings, box: Sandbox
) -> list[Task]:
    """Return the tasks of one split, ordered by id."""
    heldout = settings.heldout_tasks if split == "heldout" else None

    def count(wanted: int) -> int:
        return wanted if heldout is None else heldout

    tasks = [
        _question("output", row) for row in _choose(rows, count(settings.output_tasks), settings)
    ]
    traced = [row for row in rows if len(row["frames"]) <= settings.max_frames]
    tasks += [
        _question("trace", row) for row in _choose(traced, count(settings.trace_tasks), settings)
    ]
    wanted = count(settings.fix_tasks)
    from_functions = int(wanted * settings.function_fraction)
    real = make_fixes(_real_candidates(rows, repairs, settings), from_functions, settings, box)
    fixes = list(real)
    fixes += make_fixes(_program_candidates(rows), wanted - len(fixes), settings, box)
    unique = {task.id: task for task in (*tasks, *fixes)}
    return [unique[name] for name in sorted(unique)]


def _usable(folder: Path, settings: TaskSettings) -> Iterator[Row]:
    """Yield whole traces that return a short literal for short literal arguments, one per
    question.
    """
    seen = set()
    for row in sorted(read_table(folder), key=lambda row: _order(row["key"], settings.seed)):
        question = (row["context"], row["entry"], row["arguments"])
        if (
            row["literal"]
            and row["outcome"] == "return"
            and row["episode"] == 0
            and len(row["context"]) <= settings.max_context_chars
            and len(row["arguments"]) <= settings.max_value_chars
            and len(row["result"]) <= settings.max_value_chars
            and is_literal(row["result"])
            and question not in seen
        ):
            seen.add(question)
            yield row


def _order(key: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{key}".encode()).hexdigest()


def _choose(rows: list[Row], count: int, settings: TaskSettings) -> list[Row]:
    """Take the first ``count`` rows, real functions up to their share."""
    functions = [row for row in rows if row["source"] == "function"]
    programs = [row for row in rows if row["source"] != "function"]
    functions = functions[: int(count * settings.function_fraction)]
    return functions + programs[: count - len(functions)]


def _origin(row: Row) -> dict[str, Any]:
    names = ("group", "source", "document", "origin", "licence")
    return {**{name: row[name] for name in names}, "trace": row["key"]}


def _question(kind: TaskKind, row: Row) -> Task:
    return Task(
        id=f"{kind}:{row['key'][:16]}",
        kind=kind,
        context=strip_mark(row["context"]),
        entry=row["entry"],
        arguments=row["arguments"],
        answer=row["result"],
        argument_equal=equals_an_argument(row["arguments"], row["result"]),
        frames=tuple(row["frames"]) if kind == "trace" else (),
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
    return Candidate(strip_mark(row["context"]), row["entry"], call, _origin(row))


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
    for row in sorted(repairs, key=lambda row: _order(row["key"], settings.seed)):
        tests = json.loads(row["tests"])
        source, entry = row["original"], row["name"].rpartition(":")[2]
        if source not in seen and len(source) <= settings.max_context_chars and tests:
            seen.add(source)
            origin = {**_origin({**row, "source": "function"}), "trace": ""}
            yield Candidate(source, entry, tests[0]["call"], origin)
