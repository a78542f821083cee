"""The five families of mutations that CWM's mutate-fix trajectories start from (its table 1).

=========  ==================================================================
functions  delete the body, or part of it
arguments  delete a parameter, or swap two arguments of a call
variables  swap all occurrences of two variables
statements delete an import or a return
operators  replace a binary, unary, boolean or comparison operator
=========  ==================================================================

`constants` (a number off by one) is no family of CWM's; one-line repair tasks use it beside
`operators`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise

from stages.forage.edits import Edit, Source


@dataclass(frozen=True, slots=True)
class Mutation:
    """A changed function: its family, what was done, and its source."""

    family: str
    detail: str
    source: str


Found = Iterator[tuple[str, list[Edit]]]

_OPERATORS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.BitXor: ("^", "|"),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Lt: ("<", ">="),
    ast.LtE: ("<=", ">"),
    ast.Gt: (">", "<="),
    ast.GtE: (">=", "<"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
}


def operators(source: Source) -> Found:
    """Replace one operator by another of its kind."""
    for node in ast.walk(source.tree):
        for left, operator, right in _operands(node):
            written, other = _OPERATORS.get(type(operator), ("", ""))
            start, end = source.span(left)[1], source.span(right)[0]
            at = source.symbol(start, end, written) if written else None
            if at is not None:
                yield f"{written} becomes {other}", [(at, at + len(written), other)]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
            start, inner = source.span(node)[0], source.span(node.operand)[0]
            yield f"{source.between(start, inner).strip()} dropped", [(start, inner, "")]


def _operands(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST, ast.AST]]:
    if isinstance(node, ast.BinOp):
        yield node.left, node.op, node.right
    elif isinstance(node, ast.AugAssign):
        yield node.target, node.op, node.value
    elif isinstance(node, ast.BoolOp):
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield left, node.op, right
    elif isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        yield from zip(sides, node.ops, sides[1:], strict=False)


def constants(source: Source) -> Found:
    """Make a small integer one larger."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) < 100:
            yield f"{node.value} off by one", [(*source.span(node), str(node.value + 1))]


def statements(source: Source) -> Found:
    """Delete one import or return."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Return):
            yield (
                f"{source.written(node).split(chr(10))[0]!r} deleted",
                [(*source.span(node), "pass")],
            )


def variables(source: Source) -> Found:
    """Swap all occurrences of two local variables."""
    (function,) = source.tree.body
    places: dict[str, list[tuple[int, int]]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            places.setdefault(node.id, []).append(source.span(node))
        elif isinstance(node, ast.arg):
            start = source.span(node)[0]
            places.setdefault(node.arg, []).append((start, start + len(node.arg.encode())))
    stored = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and _stores(n)}
    stored |= {n.arg for n in ast.walk(function) if isinstance(n, ast.arg)}
    for one, other in combinations(sorted(stored), 2):
        edits: list[Edit] = [(*place, other) for place in places[one]]
        edits += [(*place, one) for place in places[other]]
        yield f"{one} and {other} swapped", edits


def _stores(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def arguments(source: Source) -> Found:
    """Delete a parameter, or swap two neighbouring arguments of a call."""
    (function,) = source.tree.body
    assert isinstance(function, ast.FunctionDef)
    parameters = [*function.args.posonlyargs, *function.args.args]
    for before, parameter in zip([None, *parameters], parameters, strict=False):
        if before is not None and not function.args.defaults:
            start, end = source.span(before)[1], source.span(parameter)[1]
            yield f"parameter {parameter.arg} deleted", [(start, end, "")]
    for call in ast.walk(function):
        if isinstance(call, ast.Call):
            plain = [a for a in call.args if not isinstance(a, ast.Starred)]
            for one, other in pairwise(plain):
                texts = source.written(one), source.written(other)
                edits: list[Edit] = [(*source.span(one), texts[1]), (*source.span(other), texts[0])]
                yield f"arguments {texts[0]!r} and {texts[1]!r} swapped", edits


def functions(source: Source) -> Found:
    """Delete the body below the docstring, or one of its compound statements."""
    (function,) = source.tree.body
    assert isinstance(function, ast.FunctionDef)
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if body:
        start, end = source.span(body[0])[0], source.span(body[-1])[1]
        yield "body deleted", [(start, end, "pass")]
    for node in body:
        if isinstance(node, ast.If | ast.For | ast.While | ast.With | ast.Try) and len(body) > 1:
            yield f"line {node.lineno} and its block deleted", [(*source.span(node), "pass")]


FAMILIES: dict[str, Callable[[Source], Found]] = {
    "arguments": arguments,
    "functions": functions,
    "operators": operators,
    "statements": statements,
    "variables": variables,
}


def mutate(
    text: str, families: Mapping[str, Callable[[Source], Found]] | None = None
) -> list[Mutation]:
    """Return the mutations of a function's source, one ``def`` at the left margin, in a fixed
    order.

    Docstrings stay as they are: their examples are the tests. A mutation that does not parse or
    changes nothing is left out.
    """
    source = Source(text)
    found: dict[str, Mutation] = {}
    for family, make in (families or FAMILIES).items():
        for detail, edits in make(source):
            changed = source.apply(edits)
            if changed is not None and changed != text:
                found.setdefault(changed, Mutation(family, detail, changed))
    return list(found.values())
