"""What guessing a call's result without a model reaches."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Sequence


def majority(answers: Iterable[str]) -> str | None:
    """Return the most frequent answer, the first in order among equals; None without any."""
    counts = Counter(answers)
    return min(counts, key=lambda answer: (-counts[answer], answer), default=None)


def argument_values(arguments: str) -> list[str]:
    """Return the repr of each argument of the Python argument list; what is no literal is left."""
    try:
        call = ast.parse(f"f({arguments})", mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return []
    assert isinstance(call, ast.Call)
    found = []
    for node in [*call.args, *(keyword.value for keyword in call.keywords)]:
        try:
            found.append(repr(ast.literal_eval(node)))
        except (ValueError, TypeError, RecursionError):
            continue
    return found


def best_position(calls: Sequence[tuple[str, str]]) -> int:
    """Return the place of the argument that most often is the answer, of (arguments, answer)."""
    counts: Counter[int] = Counter()
    for arguments, answer in calls:
        for place, value in enumerate(argument_values(arguments)):
            counts[place] += value == answer
    return min(counts, key=lambda place: (-counts[place], place), default=0)


def copied(arguments: str, position: int) -> str | None:
    """Return the argument at ``position`` (the last one when there are fewer), None without any."""
    values = argument_values(arguments)
    return values[min(position, len(values) - 1)] if values else None
