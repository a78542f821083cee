"""Shards of functions and of generated programs: what one sandbox is given to do at a time."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from cluster.sandbox import Limits, Result, Sandbox
from stages.trace.candidates import Candidate
from stages.trace.counts import drop, drop_trace
from stages.trace.programs import LEVEL
from stages.trace.redacted import redact_row
from stages.trace.rows import Row, episodes_of, function_row, program_row, unfit
from stages.trace.settings import TracePlacement, TraceSettings
from stages.trace.shards import FIRST_MEMORY, PROCESSES, SECOND_MEMORY, Made, digest
from stages.trace.tracer.build import native_environment
from stages.trace.tracer.engine import engine_name

_LOG = logging.getLogger(__name__)
WORKER = "stages.trace.worker"
_START_SECONDS = 300.0  # imports of a whole batch of modules
_BATCH_BYTES = 1 << 30
_STANDARD = {"SETUPTOOLS_USE_DISTUTILS": "stdlib"}
"""Else setuptools puts its own distutils in the place of the standard library's."""

Inputs = Mapping[str, Sequence[tuple[str, str]]]
"""Of a function's name the inputs found outside the sandbox: method and argument source."""


class TracingFailed(RuntimeError):  # noqa: N818  it reads as what happened
    """The project's own generated programs could not be traced; says what the sandbox said."""


@dataclass(frozen=True, slots=True)
class ProgramShard:
    """Generated programs ``start`` to ``stop`` of a family at a difficulty."""

    family: str
    difficulty: float
    start: int
    stop: int
    settings: TraceSettings

    @property
    def name(self) -> str:
        """The programs and their budgets, in a digest."""
        return f"programs-{self.family}-{digest(self._payload())}"

    def _payload(self) -> dict[str, Any]:
        return {
            "seed": self.settings.seed,
            "family": self.family,
            "difficulty": self.difficulty,
            "start": self.start,
            "stop": self.stop,
            "limits": trace_limits(self.settings),
        }

    def trace(self) -> Made:
        """Trace the programs; raises `TracingFailed`, since they are the project's own."""
        settings = self.settings
        limits = _limits(settings, _START_SECONDS)
        with _sandbox() as box:
            result = box.call(f"{WORKER}:trace_programs", self._payload(), limits=limits)
            made = Made(layer=box.layer, engine=engine_name())
        if result.outcome != "ok":
            said = f"{result.outcome} {result.error}"
            raise TracingFailed(f"generated programs were not traced: {said}")
        made.tried["generated"] = self.stop - self.start
        made.spend("generated", result.cpu_seconds)
        for found in result.value:
            _keep(program_row(found, settings, made.layer), settings, made)
        return made


@dataclass(frozen=True, slots=True)
class FunctionShard:
    """Functions of modules of one origin, which share their imports.

    All chosen functions of a module are in one shard: its tests are run once, and call them all.
    """

    candidates: tuple[Candidate, ...]
    inputs: Inputs
    settings: TraceSettings
    path: tuple[str, ...] = ()
    """Further folders to import from."""

    @property
    def name(self) -> str:
        """The functions, their inputs and budgets, in a digest."""
        return f"functions-{digest([self._payload(), self.path])}"

    def _payload(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "functions": [
                {
                    "module": each.module,
                    "function": each.function,
                    "document": each.document,
                    "shown": each.shown.to_json(),
                    "kind": each.kind,
                    "inputs": [list(one) for one in self.inputs.get(each.name, ())],
                }
                for each in self.candidates
            ],
            "methods": list(settings.input_methods),
            "limits": trace_limits(settings),
            "calls": settings.calls_per_function,
            "mutations": settings.mutations_per_call,
            "fuzz_tries": settings.fuzz_tries,
            "test_modules": settings.test_modules,
            "tests": settings.tests_per_module,
            "seed": settings.seed,
            "cpu_seconds": settings.function_cpu_seconds,
            "wall_seconds": settings.function_wall_seconds,
        }

    def trace(self) -> Made:
        """Trace the functions twice, in sandboxes that differ in all that no program should show.

        The second one's processes have other addresses, ids and a later clock, and its fresh memory
        holds other bytes. Where the two differ, the trace does not follow from the program alone.
        """
        layer, parts = self.execute(FIRST_MEMORY)
        made = Made(layer=layer, engine=engine_name())
        _, again = self.execute(SECOND_MEMORY, digests_only=True)
        made.spend("check", sum(result.cpu_seconds for _, result in again))
        digests = {
            candidate.name: Counter(outcome["recordings"])
            for part, result in again
            for candidate, outcome in zip(part.candidates, result.value or [], strict=False)
        }
        for part, result in parts:
            if result.outcome == "ok":
                for candidate, outcome in zip(part.candidates, result.value, strict=True):
                    self._collect(candidate, outcome, digests.get(candidate.name, Counter()), made)
            else:
                for each in part.candidates:
                    said = result.error[-300:]
                    made.dropped.append(drop(each.name, each.origin, "", result.outcome, said))
        return made

    def execute(
        self, memory: Mapping[str, str], *, digests_only: bool = False
    ) -> tuple[str, list[tuple[FunctionShard, Result]]]:
        """Run the worker once, in a sandbox of its own; return its layer and the results.

        There is one result, or one for each part where the whole was torn down.
        """
        with _sandbox(path=self.path, environment={**memory, **_STANDARD}) as box:
            return box.layer, list(_attempt(box, self, digests_only=digests_only))

    def _collect(
        self, candidate: Candidate, outcome: Mapping[str, Any], again: Counter[str], made: Made
    ) -> None:
        """Add what one function came to; ``again`` are the digests of its second execution."""
        made.tried.update(outcome["tried"])
        made.cpu_seconds.update(outcome["cpu"])
        for why, detail in outcome["dropped"]:
            made.dropped.append(drop(candidate.name, candidate.origin, "", why, detail))
        if not outcome["recordings"] and not outcome["dropped"]:
            made.dropped.append(drop(candidate.name, candidate.origin, "", "no-call", "of its own"))
        for found in outcome["recordings"]:
            same = again[found["digest"]] > 0
            again[found["digest"]] -= same
            try:
                row = function_row(found, candidate, made.layer, same)
            except ValueError as error:  # a program got hold of the fork's pipe
                made.dropped.append(drop(candidate.name, candidate.origin, "", "lost", str(error)))
                continue
            for each in episodes_of(row, self.settings):
                shown = redact_row(each)
                if shown is None:
                    detail = "one goes over several lines of the context"
                    made.dropped.append(drop_trace(each, "secret", detail))
                else:
                    _keep(shown, self.settings, made)


def _attempt(
    box: Sandbox, shard: FunctionShard, *, digests_only: bool
) -> Iterator[tuple[FunctionShard, Result]]:
    """Call the worker; a batch that is torn down as a whole is tried again in halves."""
    payload = {**shard._payload(), "digests_only": digests_only}
    limits = _limits(shard.settings, _wall_seconds(shard))
    result = box.call(f"{WORKER}:trace_functions", payload, limits=limits)
    modules = list(dict.fromkeys(each.module for each in shard.candidates))
    if result.outcome == "ok" or len(modules) < 2:
        yield shard, result
        return
    _LOG.warning("a batch of %d modules: %s", len(modules), result.error[:300])
    first = modules[: len(modules) // 2]
    for half in (True, False):
        group = tuple(each for each in shard.candidates if (each.module in first) == half)
        yield from _attempt(box, replace(shard, candidates=group), digests_only=digests_only)


def _keep(row: Row, settings: TraceSettings, made: Made) -> None:
    reason = unfit(row, settings)
    if reason is None:
        made.rows.append(row)
    else:
        made.dropped.append(drop_trace(row, *reason))


def _wall_seconds(shard: FunctionShard) -> float:
    """Return what no batch takes: every run of every function and test at its own limit."""
    settings = shard.settings
    modules = len({each.module for each in shard.candidates})
    runs = len(shard.candidates) * len(settings.input_methods)
    runs += modules * settings.test_modules * settings.tests_per_module
    return _START_SECONDS + 2 * settings.function_wall_seconds * runs


def _sandbox(*, path: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> Sandbox:
    """Make a sandbox for the worker that has the engine in C, compiled here if need be."""
    native = native_environment()
    return Sandbox(
        preload=(WORKER,),
        path=path,
        read_only=[Path(file).parent for file in native.values()],
        environment={**native, **(environment or {})},
    )


def _limits(settings: TraceSettings, wall_seconds: float) -> Limits:
    return Limits(
        cpu_seconds=_START_SECONDS,
        wall_seconds=wall_seconds,
        memory_bytes=settings.memory_bytes,
        processes=PROCESSES,
        output_bytes=_BATCH_BYTES,
    )


def trace_limits(settings: TraceSettings) -> dict[str, int]:
    """Return the budgets of a trace, as `TraceLimits` takes them."""
    return {
        "events": settings.events,
        "bytes": settings.bytes,
        "value_chars": settings.value_chars,
        "calls": settings.calls,
    }


def function_shards(
    chosen: Iterable[Candidate],
    inputs: Inputs,
    settings: TraceSettings,
) -> Iterator[FunctionShard]:
    """Cut functions into shards of about ``functions_per_shard``: whole modules of one origin."""
    group: list[Candidate] = []
    for _, functions in groupby(chosen, key=lambda each: (each.origin, each.module)):
        module = list(functions)
        full = len(group) + len(module) > settings.functions_per_shard
        if group and (full or group[0].origin != module[0].origin):
            yield _function_shard(group, inputs, settings)
            group = []
        group += module
    if group:
        yield _function_shard(group, inputs, settings)


def _function_shard(
    group: Sequence[Candidate], inputs: Inputs, settings: TraceSettings
) -> FunctionShard:
    own = {each.name: inputs[each.name] for each in group if each.name in inputs}
    return FunctionShard(tuple(group), own, settings)


def program_shards(settings: TraceSettings, placement: TracePlacement) -> Iterator[ProgramShard]:
    """Cut the generated programs into shards of ``programs_per_shard``."""
    levels = [(LEVEL, float(level), count) for level, count in settings.program_levels]
    step = placement.programs_per_shard
    for family, difficulty, count in [*levels, *settings.program_families]:
        for start in range(0, count, step):
            stop = min(count, start + step)
            yield ProgramShard(family, difficulty, start, stop, settings)
