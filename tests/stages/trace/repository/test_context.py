"""The context of a trace: what it enters, and what that uses."""

import pytest

from stages.trace.repository.context import gather
from stages.trace.repository.errors import Refused
from tests.stages.trace.repository.conftest import CONTEXT, FILES

SOURCES = {name: text for name, text in FILES.items() if name.endswith(".py")}
PRICES, TESTS = "src/shop/prices.py", "tests/test_prices.py"


def line_of(name: str, text: str) -> int:
    return SOURCES[name].split("\n").index(text) + 1


def test_only_what_the_trace_enters_is_shown_with_what_it_uses() -> None:
    entry = (TESTS, line_of(TESTS, "def test_total(basket):"))
    places = [
        entry,
        (PRICES, line_of(PRICES, "        self.things.append(price)")),
        (PRICES, line_of(PRICES, "        return with_tax(sum(self.things))")),
        (PRICES, line_of(PRICES, "    return math.floor(net + net * RATE)")),
    ]
    context = gather(SOURCES, places)
    assert "".join(context.text) == CONTEXT
    numbers = context.numbers()
    for name, line in places:
        shown = context.text[numbers[name, line] - 1]
        assert shown == SOURCES[name].split("\n")[line - 1] + "\n"


def test_imports_of_a_try_begin_where_a_modules_do() -> None:
    context = gather(SOURCES, [(PRICES, line_of(PRICES, "    return decimal"))])
    assert (
        "".join(context.text)
        == """\
# src/shop/prices.py
import decimal
decimal = None

def never_entered():
    return decimal
"""
    )


def test_places_outside_of_functions_are_refused() -> None:
    for places in ([(PRICES, 1)], [("src/shop/gone.py", 1)], [("tests/test_syntax.py", 1)]):
        with pytest.raises(Refused) as caught:
            gather(SOURCES, places)
        assert caught.value.reason == "no-source"
