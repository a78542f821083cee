"""Judging answers.

An answer is right when the values that it leads to are the recorded ones. For a fix the answer is
run, in the sandbox, on calls whose expected values never enter it; the values come back and are
compared here. No exit code, no verdict of the program's own is believed, so neither ``os._exit(0)``
nor a forged "passed" helps.
"""

from __future__ import annotations

import ast
import logging
from typing import Any

from cluster.sandbox import Limits, Sandbox
from stages.tasks.task import Task, apply_fix, extract_answer

log = logging.getLogger(__name__)

PRELOAD = ("stages.tasks.worker",)
"""What a sandbox for `verify` should import ahead of the calls."""

LIMITS = Limits(cpu_seconds=3, wall_seconds=5, processes=8, output_bytes=1 << 20)
"""Of one answer."""

SECONDS = 1.0
"""For all calls of one answer, many times what a short function needs."""

_EVALUATE = "stages.tasks.worker:evaluate"


def verify(task: Task, answer_text: str, box: Sandbox) -> bool | None:
    """Say whether ``answer_text`` answers ``task``; None when the sandbox failed and nothing is
    known.
    """
    answer = extract_answer(task.kind, answer_text)
    if answer is None:
        return False
    if task.kind != "fix":
        return same_value(answer, task.answer)
    tests = (*task.visible_tests, *task.hidden_tests)
    calls = [call for call, _ in tests]
    values = _run(apply_fix(task, answer), calls, box)
    if values is None:
        return None
    return all(
        value is not None and same_value(value, expected)
        for value, (_, expected) in zip(values, tests, strict=True)
    )


def _run(source: str, calls: list[str], box: Sandbox) -> list[str | None] | None:
    """Return the values of ``calls``, all None for a program that ended itself; None without a
    sandbox.
    """
    # a lone surrogate cannot be written as UTF-8; a program with one is wrong, not the sandbox
    source = source.encode(errors="replace").decode()
    payload = {"programs": [{"source": source, "calls": calls}], "seconds": SECONDS}
    for _ in range(2):
        result = box.call(_EVALUATE, payload, limits=LIMITS)
        if not result.error.startswith("the server was lost"):
            return (
                _values(result.value, len(calls)) if result.outcome == "ok" else [None] * len(calls)
            )
    log.warning("an answer could not be judged: %s", result.error)
    return None


def _values(reply: Any, count: int) -> list[str | None]:
    """Read the reply, which the program may have forged: anything of another shape has no
    values.
    """
    match reply:
        case [[*values]] if len(values) == count:
            return [value if isinstance(value, str) else None for value in values]
        case _:
            return [None] * count


def same_value(one: str, other: str) -> bool:
    """Compare two reprs: as literals, of equal types all the way down, else as text."""
    if one.strip() == other.strip():
        return True
    try:
        return _equal(ast.literal_eval(one.strip()), ast.literal_eval(other.strip()))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return False


def _equal(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, dict):
        return _equal(set(one), set(other)) and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, set):  # 1, True and 1.0 are equal members; their reprs differ
        return sorted(map(repr, one)) == sorted(map(repr, other))
    return bool(one == other)
