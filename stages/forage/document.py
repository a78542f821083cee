"""Foraging one document: which mutants its doctests notice, and what the agent does about them."""

from __future__ import annotations

import hashlib
import json
import platform
import random
import re
from dataclasses import dataclass, field
from typing import Any

from cluster.sandbox import Limits, Sandbox
from model.chat import ToolCall, render_tool_call
from stages.forage.agent import Action, actions, task_statement
from stages.forage.find import Document, Function, Test
from stages.forage.mutations import FAMILIES, Mutation, mutate
from stages.forage.run_tests import matches
from stages.forage.settings import ForageSettings
from stages.forage.tools import STOPPED

PRELOAD = ("stages.forage.worker",)
LIMITS = Limits(cpu_seconds=30, wall_seconds=60, memory_bytes=2 << 30)
"""Of one call: a module is imported and a few dozen mutants are tried, each under its own time
limit.
"""

_ELISION = "[...]"
_ADDRESS = re.compile(r"\b0x[0-9a-f]{8,}\b")  # another one in every process


@dataclass(slots=True)
class Foraged:
    """The trajectories of a document, (name, reason, detail) of what led to none, and the time."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    dropped: list[tuple[str, str, str]] = field(default_factory=list)
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Episode:
    function: Function
    tests: list[Test]
    mutation: Mutation
    actions: list[Action]


def forage_document(document: Document, settings: ForageSettings, box: Sandbox) -> Foraged:
    """Return what foraging ``document`` gives; what goes wrong inside the sandbox becomes a
    drop.
    """
    result = Foraged()
    tried = [(function, _sample(function, settings)) for function in document.functions]
    outputs = _screen(document, tried, settings, box, result)
    planned: list[_Episode] = []
    for (function, mutations), found in zip(tried, outputs, strict=False):
        planned += _plan(function, mutations, found, settings, result)
    if planned:
        _act(document, planned, settings, box, result)
    return result


def _rng(settings: ForageSettings, *names: str) -> random.Random:
    return random.Random(":".join((str(settings.seed), *names)))


def _sample(function: Function, settings: ForageSettings) -> list[Mutation]:
    """Return some mutations, the families in turn: a long function has many more of one than of
    another.
    """
    rng = _rng(settings, function.source)
    queues: dict[str, list[Mutation]] = {family: [] for family in FAMILIES}
    for mutation in mutate(function.source):
        queues[mutation.family].append(mutation)
    order = list(FAMILIES)
    rng.shuffle(order)
    for queue in queues.values():
        rng.shuffle(queue)
    chosen: list[Mutation] = []
    while any(queues.values()) and len(chosen) < settings.mutations_per_function:
        chosen += [queues[family].pop() for family in order if queues[family]]
    return chosen[: settings.mutations_per_function]


def _screen(
    document: Document,
    tried: list[tuple[Function, list[Mutation]]],
    settings: ForageSettings,
    box: Sandbox,
    result: Foraged,
) -> list[list[list[str | None]]]:
    functions = [
        {
            "name": function.name,
            "tests": list(function.tests),
            "sources": [function.source, *(mutation.source for mutation in mutations)],
        }
        for function, mutations in tried
    ]
    payload = {
        "module": document.module,
        "functions": functions,
        "seconds": settings.test_seconds,
    }
    answer = box.call("stages.forage.worker:screen", payload, limits=LIMITS)
    result.cpu_seconds += answer.cpu_seconds
    if answer.outcome != "ok":
        detail = answer.error.strip().splitlines()[-1][:200] if answer.error else ""
        result.dropped.append((document.module, f"sandbox-{answer.outcome}", detail))
        return []
    outputs: list[list[list[str | None]]] = answer.value
    return outputs


def _plan(
    function: Function,
    mutations: list[Mutation],
    found: list[list[str | None]],
    settings: ForageSettings,
    result: Foraged,
) -> list[_Episode]:
    """Keep the tests that pass, the mutations that make one of them fail, and plan an episode for
    each.
    """
    original, *mutated = found
    passing = [
        n
        for n, (test, got) in enumerate(zip(function.tests, original, strict=True))
        if got is not None and matches(test["expected"], got)
    ]
    if not any(function.tests[n]["expected"] for n in passing):
        result.dropped.append((function.name, "no-passing-test", ""))
        return []
    tests = [function.tests[n] for n in passing]
    noticed = []
    for mutation, outputs in zip(mutations, mutated, strict=True):
        got = [outputs[n] for n in passing]
        if None not in got and not all(
            matches(test["expected"], text or "") for test, text in zip(tests, got, strict=True)
        ):
            noticed.append(mutation)
    if not noticed:
        result.dropped.append((function.name, "no-mutation-noticed", f"{len(mutations)} tried"))
    planned = []
    for mutation in noticed[: settings.trajectories_per_function]:
        rng = _rng(settings, mutation.source)
        todo = actions(function.name, mutation.source, function.source, settings, rng)
        planned.append(_Episode(function, tests, mutation, todo))
    return planned


def _act(
    document: Document,
    planned: list[_Episode],
    settings: ForageSettings,
    box: Sandbox,
    result: Foraged,
) -> None:
    """Run the planned episodes, score them by the outputs of the function they end with, keep them
    all.
    """
    payload = {
        "episodes": [
            {"task": _task(document, e), "source": e.mutation.source, "actions": e.actions}
            for e in planned
        ],
        "seconds": settings.test_seconds,
    }
    answer = box.call("stages.forage.worker:episodes", payload, limits=LIMITS)
    result.cpu_seconds += answer.cpu_seconds
    if answer.outcome != "ok":
        result.dropped.append((document.module, f"sandbox-{answer.outcome}", answer.error[-200:]))
        return
    for episode, done in zip(planned, answer.value, strict=True):
        unstable = _unstable(done["observations"])
        if unstable:
            result.dropped.append((episode.function.name, *unstable))
            continue
        fixed = all(
            got is not None and matches(test["expected"], got)
            for test, got in zip(episode.tests, done["outputs"], strict=True)
        )
        result.rows.append(
            _row(document, episode, done["observations"], fixed, settings, box.layer)
        )


def _unstable(observations: list[str]) -> tuple[str, str] | None:
    """Return why another run might see something else, or None."""
    if any(STOPPED in seen for seen in observations):
        return "timeout", "a clock ended a program"
    if any(_ADDRESS.search(seen) for seen in observations):
        return "unstable-output", "an address in it"
    return None


def _task(document: Document, episode: _Episode) -> dict[str, Any]:
    return {"module": document.module, "name": episode.function.name, "tests": episode.tests}


def _row(
    document: Document,
    episode: _Episode,
    observations: list[str],
    fixed: bool,
    settings: ForageSettings,
    layer: str,
) -> dict[str, Any]:
    name = episode.function.name
    statement = task_statement(name, document.module)
    turns = [{"source": "env", "role": "user", "text": statement}]
    for (tool, content), seen in zip(episode.actions, observations, strict=True):
        text = render_tool_call(ToolCall(tool, content))
        turns.append({"source": "agent", "role": "assistant", "text": text})
        shown = seen[: settings.max_observation_chars]
        shown += _ELISION if len(seen) > len(shown) else ""
        turns.append({"source": "env", "role": f"tool: {tool}", "text": shown})
    key = hashlib.sha256(json.dumps([document.sha256, name, turns]).encode()).hexdigest()
    return {
        "key": key,
        "task": "mutate-fix",
        "document": document.sha256,
        "origin": document.origin,
        "licence": document.licence,
        "name": f"{document.module}:{name}",
        "family": episode.mutation.family,
        "original": episode.function.source,
        "mutated": episode.mutation.source,
        "tests": json.dumps(episode.tests),
        "turns": turns,
        "outcome": "fixed" if fixed else "failed",
        "reward": 1.0 if fixed else -1.0,
        "group": document.sha256,
        "python": ".".join(platform.python_version_tuple()[:2]),
        "sandbox": layer,
    }
