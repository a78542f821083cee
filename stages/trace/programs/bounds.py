"""How large the values of a program may become."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """Small values, for what is to be learnt are the rules: |int| < ``integer``, strings of at most
    ``text`` characters, containers of at most ``items`` items. What is no literal (an object, a
    generator, an exception) shows at most ``opaque`` characters; 0: there is none.
    """

    integer: int = 1_000
    text: int = 24
    items: int = 16
    opaque: int = 0

    def hold(self, frames: Iterable[Mapping[str, Any]]) -> bool:
        """Say whether every value in a trace (rows of `stages.tables.FRAME`) is within."""
        return all(
            _text_within(text, self)
            for frame in frames
            for text in (
                [each["value"] for each in frame["locals"]]
                if frame["locals"] is not None
                else [frame["value"]]
            )
        )

    def admit(self, value: Any) -> bool:
        """Say whether one value is within."""
        if value is None:
            return True
        if isinstance(value, int):
            return abs(value) < self.integer
        if isinstance(value, str):
            return len(value) <= self.text
        if isinstance(value, dict):
            parts = [part for item in value.items() for part in item]
            return len(value) <= self.items and all(map(self.admit, parts))
        if isinstance(value, list | tuple | set):
            return len(value) <= self.items and all(map(self.admit, value))
        return self.opaque > 0


@lru_cache(maxsize=100_000)
def _text_within(text: str, bounds: Bounds) -> bool:
    try:
        return bounds.admit(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return len(text) <= bounds.opaque and not text.endswith("...")
