"""Which functions of a corpus can be traced: module-level ones with doctests of their own."""

from __future__ import annotations

import ast
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stages.trace.settings import TraceSettings
from stages.trace.tracer.source import ShownSource, file_lines, function_source

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A function to trace, and the document it stands in."""

    split: str
    document: str
    origin: str
    licence: str
    module: str
    function: str
    shown: ShownSource

    @property
    def name(self) -> str:
        """``module:function``, which is unique."""
        return f"{self.module}:{self.function}"

    @property
    def rank(self) -> str:
        """What orders the functions of an origin: a hash, so that a part is a fair sample."""
        return hashlib.sha256(self.name.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Skipped:
    """A function with doctests that is not traced, and why: a stable word and a detail."""

    name: str
    origin: str
    path: str
    reason: str
    detail: str


def module_name(path: str) -> str | None:
    """Return the module that ``path``, relative to an import root, is imported as, or None."""
    name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return name if path.endswith(".py") and _NAME.fullmatch(name) else None


def candidates_of(
    document: Mapping[str, Any], split: str, settings: TraceSettings
) -> Iterator[Candidate | Skipped]:
    """Yield the functions of one document that have doctests, or why they are left out."""
    text, module = document["text"], module_name(document["path"])
    if ">>> " not in text or module is None or module.rpartition(".")[2] == "__main__":
        return
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    lines = file_lines(text)
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or ">>> " not in (ast.get_docstring(node) or ""):
            continue
        shown = function_source(lines, node)
        reason, detail = _unfit(node, shown, settings)
        name, origin = f"{module}:{node.name}", document["origin"]
        if reason:
            yield Skipped(name, origin, document["path"], reason, detail)
            continue
        yield Candidate(
            split, document["sha256"], origin, document["licence"], module, node.name, shown
        )


def _unfit(node: ast.FunctionDef, shown: ShownSource, settings: TraceSettings) -> tuple[str, str]:
    if _yields(node):
        return "generator", "a generator's body runs after its call returned"
    if shown.text[shown.entry_line - 1].rstrip("\n").endswith("\\"):
        return "unmarkable", "the def line goes on after a backslash: no comment can follow"
    size = sum(map(len, shown.text))
    if size > settings.max_source_chars:
        return "long-source", f"{size} > {settings.max_source_chars} characters"
    return "", ""


def _yields(node: ast.AST) -> bool:
    """Say whether a function itself yields; nested functions may."""
    nested = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    return any(
        isinstance(child, ast.Yield | ast.YieldFrom)
        or (not isinstance(child, nested) and _yields(child))
        for child in ast.iter_child_nodes(node)
    )


def choose(found: Iterable[Candidate], settings: TraceSettings) -> list[Candidate]:
    """Take functions in turn from every origin, up to the settings' numbers; in origin order.

    The order does not depend on the order in which they were found. Of functions with the same
    name (one module in two documents) the first by document counts.
    """
    unique: dict[str, Candidate] = {}
    for each in sorted(found, key=lambda candidate: (candidate.name, candidate.document)):
        if each.origin not in settings.excluded_origins:
            unique.setdefault(each.name, each)
    by_origin: dict[str, list[Candidate]] = defaultdict(list)
    for each in sorted(unique.values(), key=lambda candidate: candidate.rank):
        by_origin[each.origin].append(each)
    turns = sorted(
        (place, origin)
        for origin, group in by_origin.items()
        if len(group) >= settings.min_functions_per_origin
        for place in range(min(len(group), settings.max_functions_per_origin))
    )
    chosen = [by_origin[origin][place] for place, origin in turns[: settings.max_functions]]
    return sorted(
        chosen, key=lambda candidate: (candidate.origin, candidate.module, candidate.rank)
    )
