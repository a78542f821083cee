"""Changing Python source by the spans of its syntax tree, so that everything else stays as it was
written.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

Edit = tuple[int, int, str]
"""Bytes [start, end) of the UTF-8 source are replaced by the text."""


def lines_of(text: str) -> list[str]:
    """Return the lines with their ends, as Python counts them: a form feed or U+2028 ends none."""
    return [line.decode() for line in text.encode().splitlines(keepends=True)]


class Source:
    """A parsed source text whose nodes know their place in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self._bytes = text.encode()
        self._starts = [0]
        for line in self._bytes.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Return the node's [start, end) in bytes."""
        at = self._starts
        return (
            at[node.lineno - 1] + node.col_offset,  # type: ignore[attr-defined]
            at[node.end_lineno - 1] + node.end_col_offset,  # type: ignore[attr-defined]
        )

    def between(self, start: int, end: int) -> str:
        """Return the text of bytes [start, end)."""
        return self._bytes[start:end].decode()

    def written(self, node: ast.AST) -> str:
        """Return the node as it is written."""
        return self.between(*self.span(node))

    def apply(self, edits: Sequence[Edit]) -> str | None:
        """Return the text with ``edits`` made; None when they overlap or the result does not
        parse.
        """
        result, last = self._bytes, len(self._bytes) + 1
        for start, end, text in sorted(edits, reverse=True):
            if end > last:
                return None
            result, last = result[:start] + text.encode() + result[end:], start
        changed = result.decode()
        try:
            ast.parse(changed)
        except (SyntaxError, ValueError):
            return None
        return changed

    def symbol(self, start: int, end: int, written: str) -> int | None:
        """Return where the operator ``written`` stands in bytes [start, end), None if it is not
        plain to see.
        """
        gap = self._bytes[start:end]
        if b"#" in gap or gap.count(written.encode()) != 1:
            return None
        return start + gap.index(written.encode())
