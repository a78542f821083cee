"""Which functions of a corpus can be traced: its public module-level ones."""

from __future__ import annotations

import ast
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stages.trace.settings import TraceSettings
from stages.trace.tracer.source import Function, ShownSource, file_lines, function_source

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_CONTEXT_MANAGERS = frozenset({"contextmanager", "contextlib.contextmanager"})
_SCOPES = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


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
    kind: str = "function"
    """function, or what takes a driver to run (see `stages.trace.inputs.drivers`): generator,
    coroutine, context (a context manager)."""
    doctest: bool = False
    """Its docstring has examples."""

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
    """A public function that is not traced, and why: a stable word and a detail."""

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
    """Yield the public functions of one document, or why they are left out.

    Of several definitions of a name the last counts, as it does for who imports the module.
    """
    text, module = document["text"], module_name(document["path"])
    if module is None or module.rpartition(".")[2] == "__main__":
        return
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    lines = file_lines(text)
    functions = {node.name: node for node in tree.body if isinstance(node, Function)}
    for node in functions.values():
        if node.name.startswith("_"):
            continue
        shown, kind = function_source(lines, node), _kind(node)
        reason, detail = _unfit(node, kind, shown, settings)
        name, origin = f"{module}:{node.name}", document["origin"]
        if reason:
            yield Skipped(name, origin, document["path"], reason, detail)
            continue
        yield Candidate(
            split=split,
            document=document["sha256"],
            origin=origin,
            licence=document["licence"],
            module=module,
            function=node.name,
            shown=shown,
            kind=kind,
            doctest=">>> " in (ast.get_docstring(node) or ""),
        )


def _unfit(
    node: Function, kind: str, shown: ShownSource, settings: TraceSettings
) -> tuple[str, str]:
    if kind == "async-generator":
        return kind, "no driver is written for these"
    if settings.min_lines > 1 and kind == "function" and _is_one_line(node):
        return "one-line", "its traces have one line event"
    if shown.text[shown.entry_line - 1].rstrip("\n").endswith("\\"):
        return "unmarkable", "the def line goes on after a backslash: no comment can follow"
    size = sum(map(len, shown.text))
    if size > settings.max_source_chars:
        return "long-source", f"{size} > {settings.max_source_chars} characters"
    return "", ""


def _kind(node: Function) -> str:
    yields = _yields(node)
    if isinstance(node, ast.AsyncFunctionDef):
        return "async-generator" if yields else "coroutine"
    if yields and any(ast.unparse(each) in _CONTEXT_MANAGERS for each in node.decorator_list):
        return "context"
    return "generator" if yields else "function"


def _is_one_line(node: Function) -> bool:
    """Say whether the body is one line, which neither recurses nor has a scope of its own in it."""
    body = node.body[ast.get_docstring(node) is not None :]
    if len(body) > 1 or any(each.lineno != each.end_lineno for each in body):
        return False
    inner = [child for each in body for child in ast.walk(each)]
    names = {each.id for each in inner if isinstance(each, ast.Name)}
    return node.name not in names and not any(isinstance(each, _SCOPES) for each in inner)


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

    Those that have doctests come first: people wrote their inputs.

    The order does not depend on the order in which they were found. Of functions with the same
    name (one module in two documents) the first by document counts. The functions of a module
    stay together.
    """
    unique: dict[str, Candidate] = {}
    for each in sorted(found, key=lambda candidate: (candidate.name, candidate.document)):
        if each.origin not in settings.excluded_origins:
            unique.setdefault(each.name, each)
    by_origin: dict[str, list[Candidate]] = defaultdict(list)
    for each in sorted(unique.values(), key=lambda each: (not each.doctest, each.rank)):
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
