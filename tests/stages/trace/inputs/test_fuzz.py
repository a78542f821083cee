"""What is guessed for a parameter, and what is learned from errors."""

import ast
import types

import pytest

from stages.trace.inputs.calls import Subject
from stages.trace.inputs.drivers import driver_source
from stages.trace.inputs.fuzz import Fuzzer
from stages.trace.inputs.fuzz_values import LIBRARIES, ORDER, STANDARD, VALUES, WORD_HINTS
from stages.trace.tracer.recording import TraceLimits
from stages.trace.tracer.source import file_lines, function_source

TEXT = '''\
def by_name(path, n, func):
    return path

def by_use(thing):
    for key, value in thing.items():
        print(key, value)

def by_annotation(thing: bytes, other: "list[int]"):
    return thing

def by_document(thing):
    """Do.

    :param thing: a dict of names
    """
    return thing

def by_constant(thing):
    if thing in ("left", "right"):
        return 1
    return 2

def optional(a, *rest, flag=False, **more):
    return a

def none():
    return 1

class Basket:
    pass

class Crate:
    pass

def by_class(basket, other: "Crate | None"):
    return basket

def generator(numbers):
    for each in numbers:
        yield each
'''


def fuzzer(name, seed="0", kind="function"):
    module = types.ModuleType("sample")
    module.__file__ = "/sample.py"
    exec(compile(TEXT, module.__file__, "exec"), module.__dict__)
    node = next(each for each in ast.parse(TEXT).body if each.name == name)
    shown = function_source(file_lines(TEXT), node)
    return Fuzzer(Subject(module, name, kind, shown, 50, TraceLimits(), 4), seed)


def first(name):
    return next(fuzzer(name).tries(5))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("by_name", "'a/b/c.txt', 3, lambda *values: values[0]"),
        ("by_use", "{'a': 1, 'b': 2}"),
        ("by_annotation", "b'hello world', [3, 1, 2]"),
        ("by_document", "{'a': 1, 'b': 2}"),
        ("by_constant", "'left'"),
        ("none", ""),
    ],
)
def test_the_first_guess(name, arguments):
    assert first(name) == arguments


def test_optional_parameters_come_later():
    guesses = list(fuzzer("optional").tries(20))
    assert guesses[0] == "3" or "," not in guesses[0]
    assert any("flag=" in each for each in guesses)


def test_guesses_differ_and_depend_on_the_seed_alone():
    found = list(fuzzer("by_name").tries(12))
    assert len(found) == len(set(found)) == 12
    assert found == list(fuzzer("by_name").tries(12))
    assert found != list(fuzzer("by_name", seed="1").tries(12))


def test_an_ill_typed_guess_rules_its_kind_out():
    one = fuzzer("by_use")
    tries = one.tries(3)
    next(tries)
    one.tell(AttributeError("'dict' object has no attribute 'nodes'"))
    assert not next(tries).startswith("{")


def test_an_attribute_that_is_missing_says_what_would_have_it():
    one = fuzzer("by_document")
    tries = one.tries(3)
    next(tries)
    one.tell(AttributeError("'dict' object has no attribute 'readline'"))
    assert "io." in next(tries)


def test_the_function_that_wants_text_gets_text():
    one = fuzzer("by_document")
    tries = one.tries(3)
    next(tries)
    one.tell(TypeError("expected string, not dict"))
    assert next(tries).startswith("'")


def test_a_driver_imports_what_its_arguments_name():
    assert driver_source("generator", "f", "ast.parse('io.x'), [io.StringIO('')]") == (
        "\nimport ast\nimport io\n\n\ndef main():\n"
        "    return list(f(ast.parse('io.x'), [io.StringIO('')]))\n"
    )


def test_a_parameter_named_after_a_class_is_given_an_instance():
    assert first("by_class") == "Basket(), Crate()"
    one = fuzzer("by_class")
    assert type(eval("Basket()", one.names)).__name__ == "Basket"


def test_every_value_can_be_written_and_every_hint_has_values():
    names = {name: __import__(name) for name in (*STANDARD, *LIBRARIES.values())}
    for kind, values in VALUES.items():
        assert values and len(set(values)) == len(values)
        for value in values:
            eval(value, dict(names)), kind
    assert set(WORD_HINTS.values()) | set(ORDER) | set(LIBRARIES) <= set(VALUES)
