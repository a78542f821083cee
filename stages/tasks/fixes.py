"""Making fix tasks: short functions with one line broken, and tests that tell."""

from __future__ import annotations

import ast
import hashlib
import random
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from cluster.sandbox import Limits, Sandbox
from stages.forage.mutations import constants, mutate, operators
from stages.tasks.settings import TaskSettings
from stages.tasks.task import Task, Test
from stages.tasks.verify import SECONDS, same_value

BATCH = 32
"""Programs per call of the sandbox."""
_CALLS = 16  # calls tried per program
_LIMITS = Limits(cpu_seconds=4 * BATCH * SECONDS, wall_seconds=8 * BATCH * SECONDS)
_FAMILIES = {"operators": operators, "constants": constants}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A function that might make a fix task: its source, one call of it, and where it is from."""

    source: str
    entry: str
    call: str
    origin: dict[str, Any]  # the Task fields group, source, document, origin, licence, trace


@dataclass(frozen=True, slots=True)
class _Broken:
    candidate: Candidate
    tests: list[Test]
    source: str
    line: int


def make_fixes(
    candidates: Iterable[Candidate], count: int, settings: TaskSettings, box: Sandbox
) -> Iterator[Task]:
    """Yield up to ``count`` fix tasks, at most one per candidate, in the candidates' order."""
    waiting, made = iter(candidates), 0
    while made < count and (batch := list(islice(waiting, BATCH))):
        for task in _fix_batch(batch, settings, box):
            if made < count:
                made += 1
                yield task


def _fix_batch(batch: Sequence[Candidate], settings: TaskSettings, box: Sandbox) -> Iterator[Task]:
    """Find tests for the originals, break them, and keep those whose tests notice."""
    calls = [varied_calls(candidate.call, settings.seed) for candidate in batch]
    sources = [candidate.source for candidate in batch]
    values = evaluate(box, sources, calls, repeat=True)
    broken: list[_Broken] = []
    for candidate, tried, found in zip(batch, calls, values, strict=True):
        tests = choose_tests(tried, found, settings)
        if tests:
            broken += _break(candidate, tests, settings)
    results = evaluate(
        box, [b.source for b in broken], [[call for call, _ in b.tests] for b in broken]
    )
    done: set[int] = set()
    for mutant, found in zip(broken, results, strict=True):
        if id(mutant.candidate) not in done and _noticed(mutant, found, settings):
            done.add(id(mutant.candidate))
            yield _task(mutant, settings)


def _break(candidate: Candidate, tests: list[Test], settings: TaskSettings) -> list[_Broken]:
    """Return mutants of one candidate that differ from it in one line."""
    made = []
    lines = candidate.source.split("\n")
    for mutation in mutate(candidate.source, _FAMILIES):
        changed = mutation.source.split("\n")
        differ = [
            n for n, pair in enumerate(zip(lines, changed, strict=False)) if len(set(pair)) > 1
        ]
        if (
            len(lines) == len(changed)
            and len(differ) == 1
            and lines[differ[0]].strip()[:4] != "def "
        ):
            made.append(_Broken(candidate, tests, mutation.source, differ[0] + 1))
    random.Random(f"{settings.seed}:{candidate.source}").shuffle(made)
    return made[: settings.mutants]


def _noticed(mutant: _Broken, found: list[str | None], settings: TaskSettings) -> bool:
    """A mutant is kept when a test that the prompt shows fails."""
    shown = list(zip(mutant.tests, found, strict=True))[: settings.visible_tests]
    return any(value is None or not same_value(value, test[1]) for test, value in shown)


def _task(mutant: _Broken, settings: TaskSettings) -> Task:
    candidate = mutant.candidate
    name = hashlib.sha256(f"{candidate.entry}:{mutant.source}".encode()).hexdigest()[:16]
    return Task(
        id=f"fix:{name}",
        kind="fix",
        context=mutant.source,
        entry=candidate.entry,
        arguments="",
        answer=candidate.source.split("\n")[mutant.line - 1].strip(),
        line=mutant.line,
        visible_tests=tuple(mutant.tests[: settings.visible_tests]),
        hidden_tests=tuple(mutant.tests[settings.visible_tests :]),
        **candidate.origin,
    )


def evaluate(
    box: Sandbox, sources: list[str], calls: list[list[str]], *, repeat: bool = False
) -> list[list[str | None]]:
    """Evaluate programs together; when that fails, one by one, so that the culprit alone has no
    values.
    """
    programs = [{"source": s, "calls": c} for s, c in zip(sources, calls, strict=True)]
    payload = {"programs": programs, "seconds": SECONDS, "repeat": repeat}
    result = box.call("stages.tasks.worker:evaluate", payload, limits=_LIMITS)
    if result.outcome == "ok":
        values: list[list[str | None]] = result.value
        return values
    if len(programs) == 1:
        return [[None] * len(calls[0])]
    return [evaluate(box, [s], [c], repeat=repeat)[0] for s, c in zip(sources, calls, strict=True)]


def choose_tests(
    calls: list[str], values: list[str | None], settings: TaskSettings
) -> list[Test] | None:
    """Return the tests of a function, visible ones first; None when too few calls have short
    literal values.

    Calls with values not seen before come first: a function is told apart by its different values.
    """
    usable = [
        (call, value)
        for call, value in zip(calls, values, strict=True)
        if value is not None and len(value) <= settings.max_value_chars and is_literal(value)
    ]
    seen: set[str] = set()
    fresh: list[Test] = []
    repeated: list[Test] = []
    for call, value in usable:
        (repeated if value in seen else fresh).append((call, value))
        seen.add(value)
    tests = (fresh + repeated)[: settings.visible_tests + settings.hidden_tests]
    enough = len(tests) == settings.visible_tests + settings.hidden_tests and len(fresh) > 1
    return tests if enough else None


def is_literal(text: str) -> bool:
    """Say whether ``text`` is a Python literal."""
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return False
    return True


def varied_calls(call: str, seed: int) -> list[str]:
    """Return ``call`` and variants of it with other literals of the same types, without
    repetition.
    """
    found = {ast.unparse(ast.parse(call, mode="eval")): None}
    for number in range(4 * _CALLS):
        tree = ast.parse(call, mode="eval")
        expression = tree.body
        if isinstance(expression, ast.Call):
            vary = _Vary(random.Random(f"{seed}:{number}:{call}"))
            expression.args = [vary.visit(node) for node in expression.args]
            expression.keywords = [vary.visit(node) for node in expression.keywords]
        found[ast.unparse(tree)] = None
        if len(found) == _CALLS:
            break
    return list(found)


class _Vary(ast.NodeTransformer):
    """Replaces constants by others of the same type and about the same size."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.copy_location(ast.Constant(self._other(node.value)), node)

    def _other(self, value: Any) -> Any:
        if isinstance(value, bool):
            return self._rng.random() < 0.5
        if isinstance(value, int):
            return self._rng.randrange(max(10, 2 * abs(value)))
        if isinstance(value, str) and value:
            letters = value if len(set(value)) > 2 else value + string.ascii_lowercase[:6]
            return "".join(self._rng.choices(letters, k=len(value)))
        return value
