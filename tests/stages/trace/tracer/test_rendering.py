"""Values as text: exact within the budget, bounded beyond it, and never failing."""

import collections
import dataclasses
import json as some_module

import numpy
import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stages.trace.tracer import _native
from stages.trace.tracer.rendering import render

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner) | st.tuples()
    ),
    max_leaves=8,
)


@given(PLAIN)
def test_within_the_budget_it_is_repr(value):
    assert render(value, 100_000) == repr(value)


@given(PLAIN, st.integers(10, 40))
def test_the_budget_holds(value, budget):
    text = render(value, budget)
    assert len(text) <= budget
    assert len(text) == budget or text == repr(value) or "..." in text


def test_sets_keep_their_order():
    for value in ({3, 1, 2}, frozenset({1}), set(), frozenset()):
        assert render(value, 100) == repr(value)


def test_cycles_end():
    a = []
    a.append(a)
    d = {}
    d["d"] = d
    assert render(a, 50) == repr(a) == "[[...]]"
    assert render(d, 50) == "{'d': {...}}"


def test_huge_values_cost_little():
    assert render(10**5000, 50) == "<int 16610 bits>"
    assert len(render("x" * 10**7, 50)) == 50
    assert len(render(list(range(10**6)), 50)) == 50
    assert render(collections.OrderedDict.fromkeys(range(5000)), 80) == (
        "<OrderedDict of 5000 items>"
    )


class Broken:
    def __repr__(self):
        raise RuntimeError


class Odd:
    def __repr__(self):
        return 3


class Plain:
    def __init__(self, value):
        self.value = value


@pytest.mark.parametrize("kind", [Broken, Odd])
def test_a_failing_repr_is_named(kind):
    assert render(kind(), 50) == f"<unrepr {kind.__name__}>"
    assert render([kind()], 50) == f"[<unrepr {kind.__name__}>]"


def test_nothing_tells_where_it_ran():
    assert render(some_module, 50) == "<module 'json'>"
    assert render(test_cycles_end, 50) == "<function test_cycles_end>"
    assert render(iter([]), 50) == "<list_iterator object>"


def test_an_object_without_repr_shows_its_attributes():
    node = Plain(1)
    node.next = node
    assert render(node, 80) == "<Plain object value=1, next=<Plain object ...>>"


RENDERERS = pytest.mark.parametrize("shown", [render, _native.render], ids=["python", "native"])


@RENDERERS
def test_arrays_tensors_and_frames_show_shape_and_dtype(shown):
    assert shown(numpy.arange(6).reshape(2, 3), 60) == "<ndarray (2, 3) int64>"
    assert shown([torch.zeros(4)], 60) == "[<Tensor (4,) float32>]"
    assert shown(torch.nn.Parameter(torch.ones(1, 2)), 60) == "<Parameter (1, 2) float32>"
    assert shown(pandas.DataFrame({"a": [1, 2]}), 60) == "<DataFrame (2, 1)>"
    assert shown(numpy.float64(2.5), 60) == repr(numpy.float64(2.5))


class Slots:
    __slots__ = ("a", "b")


class MoreSlots(Slots):
    __slots__ = ("c",)


@RENDERERS
def test_slots_are_attributes_where_they_are_set(shown):
    value = MoreSlots()
    assert shown(value, 60) == "<MoreSlots object>"
    value.c, value.a = 1, [2]
    assert shown(value, 60) == "<MoreSlots object a=[2], c=1>"


@dataclasses.dataclass
class Point:
    x: int
    y: object = dataclasses.field(repr=False, default=0)
    z: object = None


class Loud:
    def __repr__(self):
        print("asked")
        return f"Loud {id(self)} {id(self):#x} at {id(self):#x}"


@RENDERERS
def test_a_dataclass_is_shown_as_its_repr_shows_it(shown):
    point = Point(1, 2, [3])
    assert shown(point, 60) == repr(point) == "Point(x=1, z=[3])"
    point.z = point
    assert shown(point, 60) == repr(point) == "Point(x=1, z=...)"
    assert shown(object.__new__(Point), 60) == "<unrepr Point>"


@RENDERERS
def test_a_repr_says_nothing_of_its_place_and_prints_nothing(shown, capfd):
    assert shown(Loud(), 60) == "Loud … 0x…"
    assert capfd.readouterr().out == ""
    assert shown("at 0x12 started 123", 60) == repr("at 0x12 started 123")
