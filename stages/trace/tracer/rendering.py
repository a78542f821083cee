"""Values as a trace shows them: what ``repr`` says, bounded, without addresses, and never failing.

Within its budget a rendered value of built-in types is exactly its ``repr``; beyond it, the first
characters and an ellipsis. What depends on where or when the program ran (addresses, thread
idents, install paths) is left out, so that two runs show the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

CHANGELESS = frozenset({int, float, bool, complex, type(None), str, bytes, range})
"""Exact types whose instances never change: the same object has the same text. (A function can be
renamed; and to keep a function or class alive may keep alive what the program has dropped.)"""

_ELLIPSIS = "..."
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_THREAD = re.compile(r"(?<=started |stopped )(daemon )?\d+")
_DEPTH = 6
_BIG_INT_BITS = 14_000  # about the 4,300 digits from which Python refuses to print
_MANY_ITEMS = 1_000  # a subclass with its own repr is asked only below this length
_BRACKETS: dict[type, tuple[str, str]] = {list: ("[", "]"), tuple: ("(", ")"), set: ("{", "}")}


def render(value: Any, budget: int) -> str:
    """Return the text of ``value`` in at most about ``budget`` characters."""
    kind = type(value)
    if kind is int:
        text = _int(value)
    elif kind is str or kind is bytes:
        text = repr(value[: budget + 1])
    elif kind in CHANGELESS:
        text = repr(value)
    else:
        text = _Walk(budget).text(value)
    return text if len(text) <= budget else text[: max(0, budget - len(_ELLIPSIS))] + _ELLIPSIS


def drop_idents(text: str) -> str:
    """Leave out the numbers by which the system knows threads."""
    return _THREAD.sub("", text)


def _int(value: int) -> str:
    bits = value.bit_length()
    if bits <= _BIG_INT_BITS:
        with suppress(ValueError):  # a program may lower the limit
            return repr(value)
    return f"<int {bits} bits>"


def _is_builtins(value: Any) -> bool:
    kind = type(value)
    return issubclass(kind, ModuleType) or (issubclass(kind, dict) and "__import__" in value)


class _Walk:
    """One walk over a nested value; ``left`` runs out, and then nothing more is looked at."""

    def __init__(self, budget: int) -> None:
        self.left = budget
        self.open: set[int] = set()

    def text(self, value: Any) -> str:
        kind = type(value)
        if kind in _BRACKETS or kind in (frozenset, dict):
            return self._container(value, kind)
        if kind in (int, str, bytes):
            text = render(value, self.left) if self.left > 0 else _ELLIPSIS
        else:
            text = self._other(value, kind)
        self.left -= len(text)
        return text

    def _container(self, value: Any, kind: type) -> str:
        start, end = "{", "}"
        if kind is frozenset:
            start, end = "frozenset({", "})"
        elif kind in _BRACKETS:
            start, end = _BRACKETS[kind]
        if id(value) in self.open or len(self.open) >= _DEPTH:
            return f"{start}{_ELLIPSIS}{end}"
        if not value:
            return "set()" if kind is set else "frozenset()" if kind is frozenset else start + end
        self.open.add(id(value))
        self.left -= len(start) + len(end)
        parts = self._parts(value, kind is dict)
        self.open.discard(id(value))
        comma = "," if kind is tuple and len(value) == 1 else ""
        return f"{start}{', '.join(parts)}{comma}{end}"

    def _parts(self, value: Any, is_dict: bool) -> list[str]:
        parts = []
        most = max(0, self.left) // 2 + 2  # every further item takes two characters or more
        for item in list(islice(value.items() if is_dict else value, most)):
            if self.left <= 0:
                parts.append(_ELLIPSIS)
                break
            if is_dict:
                if type(item[0]) is str and item[0] == "__builtins__" and _is_builtins(item[1]):
                    continue  # exec puts it there; the program did not
                parts.append(f"{self.text(item[0])}: {self.text(item[1])}")
            else:
                parts.append(self.text(item))
            self.left -= 2
        return parts

    def _other(self, value: Any, kind: type) -> str:
        try:
            if kind is ModuleType:
                return f"<module {value.__name__!r}>"
            if kind in (FunctionType, BuiltinFunctionType, MethodType):
                return f"<function {getattr(value, '__qualname__', '?')}>"
            if kind.__repr__ is object.__repr__ and not isinstance(value, type):
                return self._attributes(value, kind)
            if isinstance(value, (list, dict, set, tuple, str, bytes)) and len(value) > _MANY_ITEMS:
                return f"<{kind.__name__} of {len(value)} items>"
            text = repr(value)
        except Exception:  # noqa: BLE001  the program's own code runs here
            return f"<unrepr {kind.__name__}>"
        return drop_idents(_ADDRESS.sub("", text))

    def _attributes(self, value: Any, kind: type) -> str:
        """An object without a ``__repr__`` of its own shows its attributes, so that they count."""
        attributes = getattr(value, "__dict__", None)
        name = f"{kind.__qualname__} object"
        if not isinstance(attributes, Mapping) or not attributes:
            return f"<{name}>"
        if id(value) in self.open or len(self.open) >= _DEPTH:
            return f"<{name} {_ELLIPSIS}>"
        self.open.add(id(value))
        try:
            parts = []
            for key, item in list(islice(attributes.items(), max(0, self.left) // 2 + 2)):
                if self.left <= 0:
                    parts.append(_ELLIPSIS)
                    break
                shown = str(key)
                self.left -= len(shown) + 3
                parts.append(f"{shown}={self.text(item)}")
        finally:
            self.open.discard(id(value))
        return f"<{name} {', '.join(parts)}>"
