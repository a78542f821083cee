"""The source that a trace shows: which lines of a file belong to it, and their numbers there."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class ShownSource:
    """The lines of one file that a trace shows.

    ``text``         the lines shown, each with its newline; line n of the context is ``text[n-1]``
    ``numbers``      line in the file → line in the context
    ``definitions``  line of a first decorator in the file → line of its ``def``; CPython gives a
                     decorated function's call the former, a reader expects the latter
    ``entry_line``   line of the entry's ``def`` in the context
    """

    text: tuple[str, ...]
    numbers: Mapping[int, int]
    definitions: Mapping[int, int]
    entry_line: int

    def to_json(self) -> dict[str, Any]:
        """Return the value as JSON, for the way into the sandbox."""
        return {
            "text": list(self.text),
            "numbers": list(self.numbers.items()),
            "definitions": list(self.definitions.items()),
            "entry_line": self.entry_line,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Undo `to_json`."""
        return cls(
            text=tuple(value["text"]),
            numbers=dict(value["numbers"]),
            definitions=dict(value["definitions"]),
            entry_line=value["entry_line"],
        )


def file_lines(source: str) -> list[str]:
    """Return the lines as Python counts them: a form feed or U+2028 ends none."""
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    ended = [line + "\n" for line in lines[:-1]]
    return [*ended, lines[-1] + "\n"] if lines[-1] else ended


MODULE = "<module>"
"""The entry of a program that is run from its top."""


def whole_source(source: str, entry: str) -> ShownSource:
    """Show a whole program whose entry is the module-level function ``entry``, or `MODULE`.

    Raises `LookupError` when there is no such function.
    """
    tree, lines = ast.parse(source), file_lines(source)
    starts = [
        node.lineno for node in tree.body if isinstance(node, Function) and node.name == entry
    ]
    starts += [1] if entry == MODULE else []
    if not starts:
        raise LookupError(f"the program defines no function {entry!r}")
    numbers = {number: number for number in range(1, len(lines) + 1)}
    return ShownSource(tuple(lines), numbers, _definitions(tree), starts[0])


def function_source(lines: Sequence[str], node: Function) -> ShownSource:
    """Show a function of a file without its docstrings: they are long and give results away."""
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    last = node.end_lineno or node.lineno
    hidden = {number for each in ast.walk(node) for number in _docstring_lines(each, lines)}
    shown = [number for number in range(first, last + 1) if number not in hidden]
    numbers = {number: place for place, number in enumerate(shown, 1)}
    text = tuple(lines[number - 1] for number in shown)
    return ShownSource(text, numbers, _definitions(node), numbers[node.lineno])


def _definitions(tree: ast.AST) -> dict[int, int]:
    return {
        node.decorator_list[0].lineno: node.lineno
        for node in ast.walk(tree)
        if isinstance(node, Function | ast.ClassDef) and node.decorator_list
    }


def _docstring_lines(node: ast.AST, lines: Sequence[str]) -> range:
    """Return the lines that hold a function's docstring and nothing else."""
    if not isinstance(node, Function) or len(node.body) < 2:
        return range(0)
    text = node.body[0]
    if not isinstance(text, ast.Expr) or not isinstance(text.value, ast.Constant):
        return range(0)
    last = text.end_lineno or text.lineno
    before = lines[text.lineno - 1].encode()[: text.col_offset].strip()
    after = lines[last - 1].encode()[text.end_col_offset :].strip()
    if not isinstance(text.value.value, str) or before or (after and not after.startswith(b"#")):
        return range(0)
    return range(text.lineno, last + 1)
