"""Values as a trace shows them: what ``repr`` says, bounded, without addresses, and never failing.

Within its budget a rendered value of built-in types is exactly its ``repr``; beyond it, the first
characters and an ellipsis. What depends on where or when the program ran is left out of the reprs
of all other types, so that two runs show the same: addresses (`` at 0x…``), an object's own ``id``
however it is written (decimal, ``0x…``), the idents of threads, install paths. A program's strings
are shown as they are. Arrays, tensors and data frames show shape and dtype, unless they are single
numbers.
"""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from types import (
    BuiltinFunctionType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

CHANGELESS = frozenset({int, float, bool, complex, type(None), str, bytes, range})
"""Exact types whose instances never change: the same object has the same text. (A function can be
renamed; and to keep a function or class alive may keep alive what the program has dropped.)"""

_ELLIPSIS = "..."
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_THREAD = re.compile(r"(?<=started|stopped)( daemon)? \d+")
_DEPTH = 6
_BIG_INT_BITS = 14_000  # about the 4,300 digits from which Python refuses to print
_MANY_ITEMS = 1_000  # of other containers only shorter ones are asked for their repr
_SIZED = (list, dict, set, tuple, str, bytes)
_BRACKETS: dict[type, tuple[str, str]] = {list: ("[", "]"), tuple: ("(", ")"), set: ("{", "}")}
_ARRAYS = frozenset(
    {"cupy", "jax", "jaxlib", "numpy", "pandas", "polars", "pyarrow", "scipy", "tensorflow"}
    | {"torch", "xarray"}
)
"""Packages whose types with a ``shape`` are shown by it. None of them is imported here."""
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement
_WRAPPED_YIELD = "async_generator_wrapped_value"


def render(value: Any, budget: int, attributes: bool = True) -> str:
    """Return the text of ``value`` in at most about ``budget`` characters."""
    kind = type(value)
    if kind is int:
        text = _int(value)
    elif kind is str or kind is bytes:
        text = repr(value[: budget + 1])
    elif kind in CHANGELESS:
        text = repr(value)
    else:
        text = _Walk(budget, attributes).text(value)
    return text if len(text) <= budget else text[: max(0, budget - len(_ELLIPSIS))] + _ELLIPSIS


def scrub(text: str, address: int) -> str:
    """Leave out of a repr what tells where its object lies, and the idents of threads."""
    text = _THREAD.sub(r"\1", _ADDRESS.sub("", text))
    for own in (str(address), f"{address:x}", f"{address:X}"):
        text = text.replace(f"0x{own}", "0x…").replace(own, "…") if own in text else text
    return text


def array_text(value: Any) -> str | None:
    """Return an array's, tensor's or data frame's type, shape and dtype; None for all else."""
    kind = type(value)
    if not any("shape" in vars(base) for base in kind.__mro__):
        return None
    if not any(base.__module__.partition(".")[0] in _ARRAYS for base in kind.__mro__):
        return None
    shape = tuple(value.shape)
    if not shape:
        return None
    dtype = str(value.dtype).removeprefix("torch.") if hasattr(kind, "dtype") else ""
    return f"<{kind.__name__} {shape} {dtype}".rstrip() + ">"


def slots_of(value: Any) -> dict[str, Any]:
    """Return the attributes of an object without a ``__dict__``."""
    found = {}
    for base in reversed(type(value).__mro__):
        if not base.__flags__ & _HEAP_TYPE:
            continue
        for name, member in vars(base).items():
            if type(member) is MemberDescriptorType and not name.startswith("__"):
                with suppress(AttributeError):  # not set yet
                    found[name] = member.__get__(value)
    return found


class _Sink:
    """Takes what a ``__repr__`` prints while the tracer asks for it."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


SINK = _Sink()


def generated_fields(kind: type) -> tuple[str, ...] | None:
    """Return the fields that a dataclass's generated ``__repr__`` shows, None for any other.

    It is code of the program's, and slow; what it does is known.
    """
    made = getattr(kind.__repr__, "__wrapped__", None)
    if type(made) is not FunctionType or not hasattr(kind, "__dataclass_fields__"):
        return None
    code = made.__code__
    names = code.co_names
    if (code.co_filename, names[:2]) != ("<string>", ("__class__", "__qualname__")):
        return None
    return names[2:]


def _is_sized(kind: type) -> bool:
    """Say whether a type has a length, and a ``__repr__`` in C: that shows all there is."""
    return type(kind.__repr__) is WrapperDescriptorType and hasattr(kind, "__len__")


def _unheard(value: Any) -> str:
    """Return the repr; what it prints gets nowhere."""
    before = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = SINK
    try:
        return repr(value)
    finally:
        sys.stdout, sys.stderr = before


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

    def __init__(self, budget: int, attributes: bool) -> None:
        self.left = budget
        self.attributes = attributes
        self.open: set[int] = set()

    def text(self, value: Any) -> str:
        kind = type(value)
        if kind in _BRACKETS or kind in (frozenset, dict):
            return self._container(value, kind)
        if kind in (int, str, bytes):
            text = render(value, self.left) if self.left > 0 else _ELLIPSIS
        elif kind in CHANGELESS:
            text = repr(value)
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
            if (fields := generated_fields(kind)) is not None:
                return self._fields(value, kind, fields)
            text = array_text(value)
            if text is None:
                is_sized = isinstance(value, _SIZED) or _is_sized(kind)
                if is_sized and (length := len(value)) > _MANY_ITEMS:
                    return f"<{kind.__name__} of {length} items>"
                text = _unheard(value)
        except Exception:  # noqa: BLE001  the program's own code runs here
            return f"<unrepr {kind.__name__}>"
        return scrub(text, id(value))

    def _attributes(self, value: Any, kind: type) -> str:
        """An object without a ``__repr__`` of its own shows its attributes, so that they count."""
        if kind.__name__ == _WRAPPED_YIELD and kind.__module__ == "builtins":
            return self.text(gc.get_referents(value)[0])
        attributes = getattr(value, "__dict__", None) if self.attributes else None
        if attributes is None and self.attributes:
            attributes = slots_of(value)
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

    def _fields(self, value: Any, kind: type, fields: tuple[str, ...]) -> str:
        """A dataclass, as its generated ``__repr__`` has it."""
        if id(value) in self.open or len(self.open) >= _DEPTH:
            return _ELLIPSIS
        self.open.add(id(value))
        try:
            parts = []
            for field in fields:
                if self.left <= 0:
                    parts.append(_ELLIPSIS)
                    break
                self.left -= len(field) + 3
                parts.append(f"{field}={self.text(getattr(value, field))}")
        finally:
            self.open.discard(id(value))
        return f"{kind.__qualname__}({', '.join(parts)})"
