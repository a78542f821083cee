"""Batches: what one sandbox is given to do at a time, and what it came to."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cluster.sandbox import Limits, Result, Sandbox
from stages.trace.candidates import Candidate
from stages.trace.settings import TracePlacement, TraceSettings
from stages.trace.tracer.engine import engine_name

_LOG = logging.getLogger(__name__)
WORKER = "stages.trace.worker"
_START_SECONDS = 300.0  # imports of a whole batch of modules
_BATCH_BYTES = 1 << 30
_PROCESSES = 512  # some distributions start dozens of threads when they are imported


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
    checking_cpu_seconds: float = 0.0
    engine: str = field(default_factory=engine_name)
    """Which tracing engine the machine has: "native" or "python"."""


def function_tasks(
    chosen: Sequence[Candidate], settings: TraceSettings, placement: TracePlacement
) -> Iterator[Task]:
    """Batches of functions of one origin, whose modules share their imports."""
    for origin in dict.fromkeys(each.origin for each in chosen):
        group = [each for each in chosen if each.origin == origin]
        for start in range(0, len(group), placement.functions_per_task):
            yield function_task(group[start : start + placement.functions_per_task], settings)


def function_task(group: Sequence[Candidate], settings: TraceSettings) -> Task:
    """Make one batch of functions."""
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
    return Task(f"{WORKER}:trace_functions", payload, limits, tuple(group))


def program_tasks(settings: TraceSettings, placement: TracePlacement) -> Iterator[Task]:
    """Batches of generated programs of one level."""
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
            yield Task(f"{WORKER}:trace_programs", payload, limits)


def _trace_limits(settings: TraceSettings) -> dict[str, int]:
    return {
        "events": settings.events,
        "bytes": settings.bytes,
        "value_chars": settings.value_chars,
        "calls": settings.calls,
    }


_MEMORY = "MALLOC_PERTURB_"
"""glibc fills memory that nobody wrote yet with this byte: what ``numpy.empty`` shows."""


def trace_task(task: Task) -> Done:
    """Run one batch in a sandbox of its own; one that is torn down is tried again in halves.

    Functions are executed once more in a second sandbox, whose processes have other addresses, ids
    and a later clock, and whose fresh memory holds other bytes. Where the two differ, the trace
    does not follow from the program alone: it is left out.
    """
    with Sandbox(preload=(WORKER,), environment={_MEMORY: "85"}) as box:
        parts, layer = tuple(_attempt(box, task)), box.layer
    if not task.candidates:
        return Done(parts, layer)
    check = replace(task, payload={**task.payload, "digests_only": True})
    with Sandbox(preload=(WORKER,), environment={_MEMORY: "106"}) as box:
        again = tuple(_attempt(box, check))
    digests = {
        candidate.name: outcome["recordings"]
        for part, result in again
        for candidate, outcome in zip(part.candidates, result.value or [], strict=False)
    }
    checked = tuple((part, _agreed(part, result, digests)) for part, result in parts)
    cpu = sum(result.cpu_seconds for _, result in again)
    return Done(checked, layer, cpu)


def _agreed(task: Task, result: Result, digests: Mapping[str, Sequence[str]]) -> Result:
    """Keep the recordings whose digest the second execution has at the same place."""
    if result.outcome != "ok":
        return result
    value = []
    for candidate, outcome in zip(task.candidates, result.value, strict=True):
        made, second = outcome["recordings"], digests.get(candidate.name, ())
        kept = [one for one, other in zip(made, second, strict=False) if one["digest"] == other]
        differ = [["nondeterministic", "two executions differ"]] * (len(made) - len(kept))
        value.append({"recordings": kept, "dropped": outcome["dropped"] + differ})
    return replace(result, value=value)


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
        candidates = task.candidates[part]
        yield from _attempt(box, replace(task, payload=payload, candidates=candidates))
