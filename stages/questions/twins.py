"""When two programs count as the same: up to names, and up to constants as well."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from stages.trace.programs import shape


def skeleton(source: str) -> str:
    """Return a digest of a program that neither renaming nor another constant of the same type
    changes.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            node.value = type(node.value).__name__
    return shape(ast.unparse(tree))


def one_of_each(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the first row of each ``group``."""
    found: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        found.setdefault(row["group"], row)
    return list(found.values())
