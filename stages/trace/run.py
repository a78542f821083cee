"""The trace stage: choose functions, trace them and generated programs in sandboxes, select."""

from __future__ import annotations

import logging
import platform
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cluster.dag.metrics import write_statistics
from cluster.dag.stage import StepContext
from cluster.sandbox import Result
from stages.tables import DROPPED, TRACES, read_table, write_table
from stages.trace.batches import Done, Task, function_tasks, program_tasks, trace_task
from stages.trace.candidates import Candidate, Skipped, candidates_of, choose
from stages.trace.counts import drop, drop_order, drop_trace, summarise
from stages.trace.rows import function_row, program_row, program_split, select, unfit
from stages.trace.settings import TracePlacement, TraceSettings
from stages.trace.tracer.engine import NOTICE

_LOG = logging.getLogger(__name__)
_SPLITS = ("train", "heldout")
_COLUMNS = ["sha256", "text", "origin", "path", "licence"]

Row = dict[str, Any]


class TracingFailed(RuntimeError):  # noqa: N818  it reads as what happened
    """The project's own generated programs could not be traced; says what the sandbox said."""


def run(context: StepContext) -> None:
    """Trace the corpus's functions and generated programs into ``context.output``."""
    settings: TraceSettings = context.settings
    placement: TracePlacement = context.placement or TracePlacement()
    found, skipped = _scan(context.inputs["corpus"].path, settings)
    chosen = choose(found, settings)
    _LOG.info("%d functions with doctests, %d chosen", len(found), len(chosen))
    rows: dict[str, list[Row]] = {split: [] for split in _SPLITS}
    dropped = [
        drop(each.name, each.origin, each.path, each.reason, each.detail) for each in skipped
    ]
    cpu = 0.0
    engines = Counter[str]()
    tasks = [*function_tasks(chosen, settings, placement), *program_tasks(settings, placement)]
    for done in _with_progress(_execute(tasks, placement), len(tasks)):
        cpu += done.checking_cpu_seconds
        engines[done.engine] += 1
        if done.engine == "python" and engines[done.engine] == 1:
            _LOG.warning(NOTICE)
        for task, result in done.parts:
            cpu += result.cpu_seconds
            for split, row in _rows(task, result, settings, done.layer, dropped):
                rows[split].append(row)
    kept: list[Row] = []
    for split in _SPLITS:
        selected, left_out = select(rows[split], settings.exception_fraction)
        write_table(context.output / split, TRACES, selected, shard_rows=5_000)
        dropped += [drop_trace(*each) for each in left_out]
        kept += [{**row, "split": split} for row in selected]
    write_table(context.output / "dropped", DROPPED, sorted(dropped, key=drop_order))
    counts = summarise(kept, dropped, len(found), len(chosen), cpu)
    counts |= {f"batches.engine.{name}": count for name, count in sorted(engines.items())}
    write_statistics(context.statistics_file, counts)


def _scan(corpus: Path, settings: TraceSettings) -> tuple[list[Candidate], list[Skipped]]:
    found: list[Candidate] = []
    skipped: list[Skipped] = []
    for split in _SPLITS:
        for document in read_table(corpus / split, _COLUMNS):
            for each in candidates_of(document, split, settings):
                if isinstance(each, Candidate):
                    found.append(each)
                else:
                    skipped.append(each)
    return found, skipped


def _execute(tasks: Sequence[Task], placement: TracePlacement) -> Iterator[Done]:
    """Yield the batches' results in order, from Ray's workers when Ray runs."""
    import ray  # planning imports this package, and needs no Ray

    if not ray.is_initialized():
        yield from map(trace_task, tasks)
        return
    remote = ray.remote(num_cpus=placement.cpus)(trace_task)
    waiting: list[Any] = []
    for task in tasks:
        waiting.append(remote.remote(task))
        if len(waiting) == placement.workers:
            yield ray.get(waiting.pop(0))
    for reference in waiting:
        yield ray.get(reference)


def _with_progress(results: Iterable[Done], total: int) -> Iterator[Done]:
    started = said = time.monotonic()
    for number, done in enumerate(results, 1):
        yield done
        now = time.monotonic()
        if now - said > 5:
            said = now
            left = (now - started) / number * (total - number)
            _LOG.info("%d of %d batches traced, %.0f s to go", number, total, left)


def _rows(
    task: Task, result: Result, settings: TraceSettings, layer: str, dropped: list[Row]
) -> Iterator[tuple[str, Row]]:
    """Yield (split, row) of what a batch recorded; append what is left out to ``dropped``."""
    python = ".".join(platform.python_version_tuple()[:2])
    if result.outcome != "ok":
        for each in task.candidates:
            dropped.append(drop(each.name, each.origin, "", result.outcome, result.error[-300:]))
        if not task.candidates:
            raise TracingFailed(
                f"generated programs were not traced: {result.outcome} {result.error}"
            )
        return
    if not task.candidates:
        for found in result.value:
            row = program_row(found, python, layer)
            reason = unfit(row, settings.min_lines)
            if reason is None:
                yield program_split(row, settings), row
            else:
                dropped.append(drop_trace(row, *reason))
        return
    for candidate, outcome in zip(task.candidates, result.value, strict=True):
        for why, detail in outcome["dropped"]:
            dropped.append(drop(candidate.name, candidate.origin, "", why, detail))
        if not outcome["recordings"] and not outcome["dropped"]:
            dropped.append(drop(candidate.name, candidate.origin, "", "no-call", "of its own"))
        for found in outcome["recordings"]:
            row = function_row(found, candidate, python, layer)
            reason = unfit(row, settings.min_lines)
            if reason is None:
                yield candidate.split, row
            else:
                dropped.append(drop_trace(row, *reason))
