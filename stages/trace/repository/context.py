"""The source that a repository's trace needs: gathered from several files, and compressed.

Shown are the functions that the trace enters, without their docstrings, beneath the headers of
their classes, and what they use of their modules: imports, and short assignments of names. Each
file's part stands under a comment that names it; the entry's file is the last.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from stages.trace.repository.errors import Refused
from stages.trace.tracer.source import Function, file_lines, function_source

Place = tuple[str, int]
"""(file in the repository, line there)."""

_ASSIGNMENT_LINES = 5


@dataclass(frozen=True, slots=True)
class Context:
    """The lines shown, each with its newline, and where they stand in the files."""

    text: tuple[str, ...]
    places: tuple[Place | None, ...]
    """Of each line; None for one that stands in no file."""

    def numbers(self) -> dict[Place, int]:
        """Return place → line in the context."""
        return {place: n for n, place in enumerate(self.places, 1) if place is not None}


def gather(sources: Mapping[str, str], places: Sequence[Place]) -> Context:
    """Return the context of a trace whose frames are at ``places``, the entry's first.

    Raises `Refused` when a place is in no function of its file.
    """
    lines: dict[str, set[int]] = {}
    for name, line in places:
        lines.setdefault(name, set()).add(line)
    entry = places[0][0]
    text: list[str] = []
    found: list[Place | None] = []
    for name in [*sorted(lines.keys() - {entry}), entry]:
        if text:
            text.append("\n")
            found.append(None)
        text.append(f"# {name}\n")
        found.append(None)
        for number, shown in _part(name, sources, lines[name]):
            text.append(shown)
            found.append((name, number) if number else None)
    return Context(tuple(text), tuple(found))


def _part(name: str, sources: Mapping[str, str], lines: set[int]) -> Iterator[tuple[int, str]]:
    """Yield (line in the file, or 0, and its text) of one file's part."""
    if name not in sources:
        raise Refused("no-source", f"{name} is no file of the repository")
    module = _parsed(sources[name])
    entered = [each for each in module.functions if each.numbers & lines]
    if missing := lines.difference(*(each.numbers for each in entered)):
        raise Refused("no-source", f"line {min(missing)} of {name} is in no function")
    header = _needed(module.globals, set().union(*(each.names for each in entered)))
    for bound in header:
        yield from ((0, line) for line in bound.lines)
    classes: tuple[int, ...] = ()
    for place, each in enumerate(entered):
        if place or header:
            yield 0, "\n"
        for start, end in each.classes:
            if start not in classes:
                yield from ((n, module.lines[n - 1]) for n in range(start, end + 1))
        classes = tuple(start for start, _ in each.classes)
        yield from ((n, _ended(module.lines[n - 1])) for n in sorted(each.numbers))


def _needed(found: Sequence[_Global], used: set[str]) -> list[_Global]:
    """Return what binds the names that are used, and the names that this uses in turn."""
    kept = []
    for each in reversed(found):
        if each.names & used:
            used = used | each.uses
            kept.append(each)
    return kept[::-1]


def _ended(line: str) -> str:
    return line if line.endswith("\n") else line + "\n"


@dataclass(frozen=True, slots=True)
class _Entered:
    """An outermost function: the lines of it that are shown, the headers above it, its names."""

    numbers: frozenset[int]
    classes: tuple[tuple[int, int], ...]
    """(first, last line) of each enclosing class's header."""
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Global:
    """An import or a short assignment of a module: the names it binds and uses, and its lines."""

    names: frozenset[str]
    uses: frozenset[str]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Module:
    lines: tuple[str, ...]
    functions: tuple[_Entered, ...]
    globals: tuple[_Global, ...]


@lru_cache(maxsize=64)
def _parsed(source: str) -> _Module:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise Refused("no-source", f"not Python {error}"[:200]) from error
    lines = tuple(file_lines(source))
    functions = tuple(
        _Entered(frozenset(function_source(lines, node).numbers), classes, _names_in(node, above))
        for node, classes, above in _functions(tree, lines)
    )
    return _Module(lines, functions, tuple(_globals(tree, lines)))


def _functions(
    node: ast.AST,
    lines: Sequence[str],
    classes: tuple[tuple[int, int], ...] = (),
    above: tuple[ast.ClassDef, ...] = (),
) -> Iterator[tuple[Function, tuple[tuple[int, int], ...], tuple[ast.ClassDef, ...]]]:
    """Yield the outermost functions with the headers of their classes, in the file's order."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield child, classes, above
        elif isinstance(child, ast.ClassDef):
            headers = (*classes, _header(child, lines))
            yield from _functions(child, lines, headers, (*above, child))
        else:
            yield from _functions(child, lines, classes, above)


def _header(node: ast.ClassDef, lines: Sequence[str]) -> tuple[int, int]:
    """Return the first and the last line of ``class …:``."""
    parts: list[ast.expr] = [*node.bases, *(each.value for each in node.keywords)]
    last = max([node.lineno, *(each.end_lineno or 0 for each in parts)])
    while last < node.body[0].lineno - 1 and ":" not in lines[last - 1].partition("#")[0]:
        last += 1
    return node.lineno, last


def _names_in(node: Function, above: Iterable[ast.ClassDef]) -> frozenset[str]:
    """Return the names that a function uses, those of its classes' headers among them."""
    heads = [part for each in above for part in (*each.bases, *each.keywords)]
    return _names([node, *heads])


def _names(nodes: Iterable[ast.AST]) -> frozenset[str]:
    return frozenset(
        each.id for node in nodes for each in ast.walk(node) if isinstance(each, ast.Name)
    )


def _globals(node: ast.AST, lines: Sequence[str]) -> Iterator[_Global]:
    """Yield what a module binds outside of functions and classes, in the file's order."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            names = {each.asname or each.name.partition(".")[0] for each in child.names}
            yield _Global(frozenset(names), frozenset(), _dedented(child, lines))
        elif isinstance(child, ast.Assign | ast.AnnAssign):
            targets = child.targets if isinstance(child, ast.Assign) else [child.target]
            bound = {each.id for each in targets if isinstance(each, ast.Name)}
            if bound and (child.end_lineno or 0) - child.lineno < _ASSIGNMENT_LINES:
                yield _Global(frozenset(bound), _names([child]), _dedented(child, lines))
        elif isinstance(child, ast.If | ast.Try | ast.ExceptHandler):
            yield from _globals(child, lines)


def _dedented(node: ast.stmt, lines: Sequence[str]) -> tuple[str, ...]:
    """Return a statement's lines; those of one in a ``try`` or ``if`` begin where a module's do."""
    found = lines[node.lineno - 1 : node.end_lineno]
    return tuple(
        _ended(line[min(node.col_offset, len(line) - len(line.lstrip())) :]) for line in found
    )
