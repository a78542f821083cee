"""Finding functions to forage: short, at module level, with doctests in their docstring."""

from __future__ import annotations

import ast
import doctest
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from stages.forage.edits import lines_of
from stages.forage.settings import ForageSettings

Test = dict[str, str]
"""``{"call": source of an example, "expected": what it prints}``; "" is expected of
preparations.
"""


@dataclass(frozen=True, slots=True)
class Function:
    """A function as its file has it, with its doctests."""

    name: str
    source: str
    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A source file with such functions, and where it is from."""

    sha256: str
    origin: str
    licence: str
    module: str
    functions: tuple[Function, ...]


def documents(
    rows: Iterable[Mapping[str, Any]], count: int, settings: ForageSettings
) -> list[Document]:
    """Return up to ``count`` documents, one of every origin in turn, in an order that only hashes
    decide.
    """
    by_origin: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if ">>> " in row["text"]:
            by_origin.setdefault(row["origin"], []).append(row)
    waiting = []
    for origin in sorted(by_origin, key=lambda name: _order(name, settings)):
        ordered = sorted(by_origin[origin], key=lambda row: _order(row["sha256"], settings))
        waiting.append(_documents(ordered, settings))
    found: list[Document] = []
    while waiting and len(found) < count:
        turn = [(queue, next(queue, None)) for queue in waiting]
        waiting = [queue for queue, document in turn if document is not None]
        found += [document for _, document in turn if document is not None]
    return found[:count]


def _order(name: str, settings: ForageSettings) -> str:
    return hashlib.sha256(f"{settings.seed}:{name}".encode()).hexdigest()


def _documents(rows: Iterable[Mapping[str, Any]], settings: ForageSettings) -> Iterator[Document]:
    for row in rows:
        module = module_name(row["path"])
        functions = tuple(
            islice(find_functions(row["text"], settings), settings.functions_per_document)
        )
        if module and functions:
            yield Document(row["sha256"], row["origin"], row["licence"], module, functions)


def module_name(path: str) -> str:
    """Return the name under which the file at ``path`` is imported, "" when it has none."""
    parts = path.removesuffix(".py").split("/")
    if parts[-1] == "__init__":
        parts.pop()
    # what starts when it is imported as a program is left alone
    return (
        ".".join(parts)
        if parts and all(p.isidentifier() and p != "__main__" for p in parts)
        else ""
    )


def find_functions(text: str, settings: ForageSettings) -> Iterator[Function]:
    """Yield the plain functions at module level that are short enough and have doctests."""
    lines = lines_of(text)
    for node in ast.parse(text).body:
        if not isinstance(node, ast.FunctionDef) or node.decorator_list:
            continue
        source = "".join(lines[node.lineno - 1 : node.end_lineno])
        if not settings.keep_docstring:
            source = without_docstring(source)
        if len(source) > settings.max_function_chars:
            continue
        tests = doctests(ast.get_docstring(node) or "", settings.max_tests)
        if any(test["expected"] for test in tests) and any(node.name in t["call"] for t in tests):
            yield Function(node.name, source, tuple(tests))


def without_docstring(source: str) -> str:
    """Return a function's source without the lines of its docstring, with ``pass`` if nothing is
    left.
    """
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    lines = lines_of(source)
    first, *rest = function.body
    if first.lineno == function.lineno or ast.get_docstring(function) is None:
        return source
    assert first.end_lineno is not None
    if rest and rest[0].lineno == first.end_lineno:  # on one line with the docstring's end
        return source
    body = [] if rest else [" " * first.col_offset + "pass\n"]
    return "".join([*lines[: first.lineno - 1], *body, *lines[first.end_lineno :]])


def doctests(docstring: str, limit: int) -> list[Test]:
    """Return the first examples of a docstring, without those that expect a traceback."""
    try:
        examples = doctest.DocTestParser().get_examples(docstring)
    except ValueError:  # inconsistent indentation: no doctest
        return []
    return [
        {"call": example.source, "expected": example.want}
        for example in examples[:limit]
        if example.exc_msg is None
    ]
