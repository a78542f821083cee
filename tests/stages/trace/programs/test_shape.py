"""The shape: what a program is, whatever its names."""

import ast
import re

import pytest

from stages.trace.programs import FAMILIES, draw, shape

SMALL = "def f(a, b):\n    c = max(a, b)\n    return c + 2\n"


def test_the_shape_survives_renaming_and_nothing_else():
    other = "def g(x, k):\n    a = max(x, k)\n    return a + 2\n"
    assert shape(SMALL) == shape(other)
    assert shape(SMALL) != shape(SMALL.replace("2", "3"))
    assert shape(SMALL) != shape(SMALL.replace("max(a, b)", "max(b, a)"))
    assert shape(SMALL) != shape(SMALL.replace("max", "min"))


CLASSES = """\
class Box:
    def __init__(self, n):
        self.n = n

    def add(self, k=1):
        self.n += k
        return self


def f(n):
    total = 0

    def step():
        nonlocal total
        total += box.n

    box = Box(n)
    try:
        box.add(k=n).add()
    except ValueError as error:
        total = len(str(error))
    step()
    return total
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"\bBox\b", "Tank"),
        (r"\badd\b", "fill"),
        (r"\bself\b", "this"),
        (r"\bk\b", "more"),
        (r"\berror\b", "problem"),
        (r"\btotal\b", "level"),
        (r"\bself\.n\b|\bbox\.n\b", lambda found: found[0][:-1] + "size"),
    ],
)
def test_every_kind_of_name_may_be_another(old, new):
    other = re.sub(old, new, CLASSES)
    assert other != CLASSES and shape(other) == shape(CLASSES)


def test_names_that_the_program_does_not_define_count():
    assert shape(CLASSES) != shape(CLASSES.replace("ValueError", "KeyError"))
    assert shape(CLASSES) != shape(CLASSES.replace("len(str", "hash(str"))
    list_method = "def f(xs):\n    xs.append(1)\n    return xs\n"
    assert shape(list_method) != shape(list_method.replace("append", "remove"))
    items = "def f(items, d):\n    return items, d.items()\n"
    assert shape(items) == shape(re.sub(r"(?<!\.)items", "xs", items))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_parameters_of_the_entry_may_have_other_names(family):
    program = draw(0, family, 0.5, 0)
    tree = ast.parse(program.source)
    entry = next(node for node in tree.body if getattr(node, "name", "") == program.entry)
    other = program.source
    for parameter in entry.args.args:
        name = rf"(?<!['\w]){parameter.arg}(?!['\w])"
        other = re.sub(name, f"{parameter.arg}_renamed", other)
    assert "_renamed" in other and shape(other) == shape(program.source)
