"""What guessing without a model reaches: a call's result, the repair of a line."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from stages.forage.edits import Edit, Source
from stages.forage.mutations import mutate, operators


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


def line_edits(source: str, line: int) -> list[str]:
    """Return what one small change makes of a 1-based line: another operator, a number ± 1."""
    lines = source.split("\n")
    found: dict[str, None] = {}
    for mutation in mutate(source, {"operators": operators, "numbers": _numbers}):
        changed = mutation.source.split("\n")
        if (lines[: line - 1], lines[line:]) == (changed[: line - 1], changed[line:]):
            found[changed[line - 1].strip()] = None
    return list(found)


def _numbers(source: Source) -> Iterator[tuple[str, list[Edit]]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and type(node.value) is int:
            for other in (node.value + 1, node.value - 1):
                yield f"{node.value} becomes {other}", [(*source.span(node), str(other))]
