"""The arguments of a call, as source: when every one of them is a literal, the call can be written
down and made again.
"""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

_DEPTH = 5
_CHARS = 300


def argument_source(
    function: Callable[..., Any] | None, code: CodeType, values: Mapping[str, Any]
) -> str | None:
    """Return the source of the argument list of a call that has just begun, or None.

    None: some argument is no literal, or the text would be long. Trailing positional arguments
    that are their own default are left out.
    """
    count, extra = code.co_argcount, code.co_kwonlyargcount
    names = code.co_varnames
    if any(name not in values for name in names[: count + extra]):
        return None
    positional = [values[name] for name in names[:count]]
    place = count + extra
    if code.co_flags & inspect.CO_VARARGS:
        positional += values.get(names[place], ())
        place += 1
    positional = _without_defaults(positional, count, getattr(function, "__defaults__", None))
    keywords = {name: values[name] for name in names[count : count + extra]}
    given = getattr(function, "__kwdefaults__", None) or {}
    keywords = {k: v for k, v in keywords.items() if k not in given or given[k] is not v}
    if code.co_flags & inspect.CO_VARKEYWORDS:
        keywords |= values.get(names[place], {})
    texts = [literal_source(value) for value in positional]
    texts += [
        None
        if (text := literal_source(value)) is None or not name.isidentifier()
        else f"{name}={text}"
        for name, value in keywords.items()
    ]
    if any(text is None for text in texts):
        return None
    joined = ", ".join(text for text in texts if text is not None)
    return joined if len(joined) <= _CHARS else None


def _without_defaults(
    positional: list[Any], count: int, defaults: tuple[Any, ...] | None
) -> list[Any]:
    optional = list(defaults or ())
    while optional and len(positional) == count and positional[-1] is optional[-1]:
        positional, count = positional[:-1], count - 1
        optional.pop()
    return positional


def literal_source(value: Any) -> str | None:
    """Return source that ``ast.literal_eval`` turns back into ``value``, or None."""
    if not _is_literal(value, _DEPTH):
        return None
    text = repr(value)
    return text if len(text) <= _CHARS else None


def _is_literal(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind is int:
        return bool(value.bit_length() <= 256)
    if kind in (str, bytes):
        return len(value) <= _CHARS
    if kind in (bool, type(None)):
        return True
    if kind is float:
        return math.isfinite(value)
    if depth == 0 or kind not in (list, tuple, set, dict) or len(value) > _CHARS:
        return False
    if kind is dict:
        return all(_is_literal(part, depth - 1) for item in value.items() for part in item)
    return (kind is not set or bool(value)) and all(_is_literal(each, depth - 1) for each in value)


def read_arguments(source: str) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and keyword arguments of a literal argument list.

    Raises ValueError when it is none.
    """
    try:
        call = ast.parse(f"f({source})", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError(f"not an argument list: {source!r}")
        positional = [ast.literal_eval(each) for each in call.args]
        keywords = {_name(each): ast.literal_eval(each.value) for each in call.keywords}
    except (SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(f"not an argument list: {source!r}: {error}") from error
    return positional, keywords


def _name(keyword: ast.keyword) -> str:
    if keyword.arg is None:
        raise ValueError("not a literal argument list: it has a **")
    return keyword.arg
