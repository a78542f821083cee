"""New arguments from old ones: small edits of a literal argument list."""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Iterator

_TRIES = 6


def mutations(arguments: str, count: int, seed: str) -> list[str]:
    """Return up to ``count`` different argument lists near ``arguments``, a literal one.

    Integers change by one, to zero or in sign; floats double, halve or change sign; strings lose,
    double or swap characters; lists, tuples and dicts lose, repeat or reverse items; booleans flip.
    """
    rng = random.Random(f"{seed}|{arguments}")
    found: dict[str, None] = {}
    for _ in range(count * _TRIES):
        if len(found) == count:
            break
        call = ast.parse(f"f({arguments})", mode="eval").body
        assert isinstance(call, ast.Call)
        places = list(_places(call))
        if not places:
            break
        node, put = rng.choice(places)
        put(_edit(node, rng))
        text = ast.unparse(call)[2:-1]
        if text != arguments:
            found[text] = None
    return list(found)


def _places(call: ast.Call) -> Iterator[tuple[ast.expr, Callable[[ast.expr], None]]]:
    """Yield every literal in the call, nested ones too, with what replaces it."""
    for index, each in enumerate(call.args):
        yield each, _putter(call.args, index)
        yield from _inner(each)
    for keyword in call.keywords:
        yield keyword.value, lambda new, where=keyword: setattr(where, "value", new)  # type: ignore[misc]
        yield from _inner(keyword.value)


def _inner(node: ast.expr) -> Iterator[tuple[ast.expr, Callable[[ast.expr], None]]]:
    items: list[ast.expr] = []
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        items = node.elts
    elif isinstance(node, ast.Dict):
        items = node.values
    for index, item in enumerate(items):
        yield item, _putter(items, index)
        yield from _inner(item)


def _putter(items: list[ast.expr], index: int) -> Callable[[ast.expr], None]:
    return lambda new: items.__setitem__(index, new)


def _edit(node: ast.expr, rng: random.Random) -> ast.expr:
    if isinstance(node, ast.List | ast.Tuple):
        fresh = copy.deepcopy(node)
        fresh.elts = _edited_items(fresh.elts, rng)
        return fresh
    if isinstance(node, ast.Dict) and node.keys:
        gone = rng.randrange(len(node.keys))
        fresh_dict = copy.deepcopy(node)
        del fresh_dict.keys[gone], fresh_dict.values[gone]
        return fresh_dict
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return node
    return ast.parse(repr(_edited_value(value, rng)), mode="eval").body


def _edited_items(items: list[ast.expr], rng: random.Random) -> list[ast.expr]:
    if not items:
        return items
    place = rng.randrange(len(items))
    return rng.choice(
        (
            items[:place] + items[place + 1 :],
            [*items[:place], items[place], *items[place:]],
            items[::-1],
        )
    )


def _edited_value(value: object, rng: random.Random) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice((value + 1, value - 1, 0, -value, value + 2))
    if isinstance(value, float):
        return rng.choice((value * 2, value / 2, -value, 0.0))
    if isinstance(value, str | bytes) and value:
        place = rng.randrange(len(value))
        shorter, longer = value[:place] + value[place + 1 :], value[: place + 1] + value[place:]  # type: ignore[operator]
        return rng.choice((shorter, longer, value[::-1], value[:0]))
    return value
