"""The trace stage: choose functions, trace them and generated programs in sandboxes, select."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.dag.metrics import write_statistics
from cluster.dag.stage import StepContext
from cluster.sandbox import Limits, Result, Sandbox
from stages.tables import DROPPED, TRACES, read_table, write_table
from stages.trace.candidates import Candidate, Skipped, candidates_of, choose
from stages.trace.counts import drop, drop_order, drop_trace, summarise
from stages.trace.rows import function_row, program_row, program_split, select, unfit
from stages.trace.settings import TracePlacement, TraceSettings

_LOG = logging.getLogger(__name__)
_WORKER = "stages.trace.worker"
_SPLITS = ("train", "heldout")
_COLUMNS = ["sha256", "text", "origin", "path", "licence"]
_START_SECONDS = 300.0  # imports of a whole batch of modules
_BATCH_BYTES = 1 << 30
_PROCESSES = 512  # some distributions start dozens of threads when they are imported

Row = dict[str, Any]


class TracingFailed(RuntimeError):  # noqa: N818  it reads as what happened
    """The project's own generated programs could not be traced; says what the sandbox said."""


@dataclass(frozen=True, slots=True)
class Task:
    """One batch for one sandbox: a call of the worker, and the candidates it is about."""

    target: str
    payload: dict[str, Any]
    limits: Limits
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """What a batch came to: a result for each of its parts."""

    parts: tuple[tuple[Task, Result], ...]
    layer: str


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
    tasks = [*_function_tasks(chosen, settings, placement), *_program_tasks(settings, placement)]
    for done in _with_progress(_execute(tasks, placement), len(tasks)):
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
    write_statistics(
        context.statistics_file, summarise(kept, dropped, len(found), len(chosen), cpu)
    )


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


def _function_tasks(
    chosen: Sequence[Candidate], settings: TraceSettings, placement: TracePlacement
) -> Iterator[Task]:
    """Batches of functions of one origin, whose modules share their imports."""
    for origin in dict.fromkeys(each.origin for each in chosen):
        group = [each for each in chosen if each.origin == origin]
        for start in range(0, len(group), placement.functions_per_task):
            yield _function_task(group[start : start + placement.functions_per_task], settings)


def _function_task(group: Sequence[Candidate], settings: TraceSettings) -> Task:
    payload = {
        "functions": [
            {
                "module": each.module,
                "function": each.function,
                "document": each.document,
                "shown": each.shown.to_json(),
            }
            for each in group
        ],
        "limits": _trace_limits(settings),
        "calls": settings.calls_per_function,
        "mutations": settings.mutations_per_call,
        "seed": settings.seed,
        "cpu_seconds": settings.function_cpu_seconds,
        "wall_seconds": settings.function_wall_seconds,
    }
    limits = Limits(
        cpu_seconds=_START_SECONDS,
        wall_seconds=_START_SECONDS + 4 * settings.function_wall_seconds * len(group),
        memory_bytes=settings.memory_bytes,
        processes=_PROCESSES,
        output_bytes=_BATCH_BYTES,
    )
    return Task(f"{_WORKER}:trace_functions", payload, limits, tuple(group))


def _program_tasks(settings: TraceSettings, placement: TracePlacement) -> Iterator[Task]:
    limits = Limits(
        cpu_seconds=_START_SECONDS,
        wall_seconds=_START_SECONDS,
        memory_bytes=settings.memory_bytes,
        output_bytes=_BATCH_BYTES,
    )
    for level, count in settings.program_levels:
        for start in range(0, count, placement.programs_per_task):
            payload = {
                "seed": settings.seed,
                "level": level,
                "start": start,
                "stop": min(count, start + placement.programs_per_task),
                "limits": _trace_limits(settings),
            }
            yield Task(f"{_WORKER}:trace_programs", payload, limits)


def _trace_limits(settings: TraceSettings) -> dict[str, int]:
    return {
        "events": settings.events,
        "bytes": settings.bytes,
        "value_chars": settings.value_chars,
        "calls": settings.calls,
    }


def trace_task(task: Task) -> Done:
    """Run one batch in a sandbox of its own; one that is torn down is tried again in halves."""
    with Sandbox(preload=(_WORKER,)) as box:
        return Done(tuple(_attempt(box, task)), box.layer)


def _attempt(box: Sandbox, task: Task) -> Iterator[tuple[Task, Result]]:
    result = box.call(task.target, task.payload, limits=task.limits)
    functions = task.payload.get("functions", [])
    if result.outcome == "ok" or len(functions) < 2:
        yield task, result
        return
    _LOG.warning("a batch of %d functions: %s", len(functions), result.error[:300])
    middle = len(functions) // 2
    for part in (slice(None, middle), slice(middle, None)):
        payload = {**task.payload, "functions": functions[part]}
        yield from _attempt(box, Task(task.target, payload, task.limits, task.candidates[part]))


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
