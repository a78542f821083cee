"""Which functions are chosen, what of their source is shown, how arguments are written."""

import inspect

import pytest

from stages.trace.candidates import Candidate, Skipped, candidates_of, choose, module_name
from stages.trace.settings import TraceSettings
from stages.trace.tracer.arguments import argument_source, read_arguments

TEXT = '''\
import functools
from contextlib import contextmanager

@functools.lru_cache
def f(n):
    """Double.

    >>> f(2)
    4
    """
    m = n  # keep

    def g():
        """Inner."""
        return m * 2
    return g()


def no_doctest(n):
    n += 1
    return n


def one_line(n):
    """Its only line."""
    return n


def one_line_with_a_scope(n):
    return [each for each in n]


def recursive(n):
    return recursive(n - 1) if n else 0


def gen(n):
    """
    >>> list(gen(1))
    """
    yield n


def nested_gen(n):
    return (lambda: (yield))


async def later(n):
    return n


async def later_and_later(n):
    yield n


@contextmanager
def opened(n):
    yield n


def twice(n):
    return 1


def twice(n, m):
    n += m
    return n


def _private(n):
    n += 1
    return n


class C:
    def method(self):
        """
        >>> C().method()
        """
'''


def document(text=TEXT, path="pkg/mod.py", origin="pkg"):
    return {
        "sha256": f"{origin}{path}",
        "text": text,
        "origin": origin,
        "path": path,
        "licence": "MIT",
    }


def test_public_module_level_functions_are_found():
    found = list(candidates_of(document(), "train", TraceSettings()))
    kept = {each.function: each.kind for each in found if isinstance(each, Candidate)}
    assert kept == {
        "f": "function",
        "no_doctest": "function",
        "one_line_with_a_scope": "function",
        "recursive": "function",
        "gen": "generator",
        "nested_gen": "function",
        "later": "coroutine",
        "opened": "context",
        "twice": "function",
    }
    doctests = {each.function for each in found if isinstance(each, Candidate) and each.doctest}
    assert doctests == {"f", "gen"}
    skipped = {(each.name, each.reason) for each in found if isinstance(each, Skipped)}
    assert skipped == {
        ("pkg.mod:one_line", "one-line"),
        ("pkg.mod:later_and_later", "async-generator"),
    }


def test_of_two_definitions_the_last_counts():
    found = candidates_of(document(), "train", TraceSettings())
    twice = next(each for each in found if each.name == "pkg.mod:twice")
    assert twice.shown.text[0] == "def twice(n, m):\n"


def test_docstrings_are_not_shown_and_lines_are_renumbered():
    shown = next(candidates_of(document(), "train", TraceSettings())).shown
    assert "".join(shown.text) == (
        "@functools.lru_cache\ndef f(n):\n    m = n  # keep\n\n    def g():\n"
        "        return m * 2\n    return g()\n"
    )
    assert shown.entry_line == 2
    lines = TEXT.splitlines(keepends=True)
    assert all(
        lines[number - 1] == shown.text[place - 1] for number, place in shown.numbers.items()
    )


def test_long_sources_are_left_out():
    settings = TraceSettings(max_source_chars=20)
    reasons = {each.reason for each in candidates_of(document(), "train", settings)}
    assert reasons == {"long-source", "one-line", "async-generator"}


def test_a_broken_file_has_no_candidates():
    assert list(candidates_of(document("def f(:\n  >>> "), "train", TraceSettings())) == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("heapq.py", "heapq"),
        ("a/b/__init__.py", "a.b"),
        ("a-b/c.py", None),
        ("a/c.pyi", None),
    ],
)
def test_module_names(path, name):
    assert module_name(path) == name


def test_the_choice_takes_turns_and_does_not_depend_on_the_order():
    function = "def f{0}(n):\n    m = n\n    return m\n\n\n"
    text = "".join(function.format(number) for number in range(10))
    settings = TraceSettings(
        max_functions=6, max_functions_per_origin=4, min_functions_per_origin=5
    )
    found = [
        each
        for origin in ("a", "b", "c")
        for each in candidates_of(document(text, f"{origin}.py", origin), "train", settings)
    ]
    found += candidates_of(document(text[:45], "small.py", "small"), "train", settings)
    chosen = choose(found, settings)
    assert [each.origin for each in chosen] == ["a", "a", "b", "b", "c", "c"]
    assert chosen == choose(found[::-1], settings)


BODY = "def f(n):\n    m = n\n    return m\n"


def found_in(*documents, **changes):
    settings = TraceSettings(**{"min_functions_per_origin": 1, **changes})
    found = [each for one in documents for each in candidates_of(one, "train", settings)]
    return choose([each for each in found if isinstance(each, Candidate)], settings)


def test_distributions_are_left_out_by_name_and_by_size():
    many = BODY + BODY.replace("f(", "g(")
    documents = (
        document(many, "a.py", "a"),
        document(many, "b.py", "b"),
        document(BODY, "c.py", "c"),
    )
    chosen = found_in(*documents, excluded_origins=("b",), min_functions_per_origin=2)
    assert sorted(each.name for each in chosen) == ["a:f", "a:g"]


def test_functions_with_doctests_come_first():
    names = [f"f{number}" for number in range(8)]
    for name in names:
        text = "".join(BODY.replace("f(", f"{each}(") for each in names)
        text = text.replace(f"def {name}(n):", f'def {name}(n):\n    """>>> 1"""')
        (chosen,) = found_in(document(text), max_functions=1)
        assert chosen.function == name


def test_of_one_module_in_two_documents_the_first_by_digest_counts():
    documents = [{**document(BODY), "sha256": str(number)} for number in (3, 1, 2)]
    for order in (documents, documents[::-1]):
        (chosen,) = found_in(*order)
        assert chosen.document == "1"


def test_what_is_one_line_is_left_out_where_lines_are_asked_for():
    text = "def f(n):\n    return n\n"
    assert not found_in(document(text), min_lines=2) and found_in(document(text), min_lines=1)


def test_a_definition_that_no_mark_fits_behind_is_left_out():
    text = "def f(n) \\\n        -> int:\n    m = n\n    return m\n"
    (skipped,) = candidates_of(document(text), "train", TraceSettings())
    assert skipped.reason == "unmarkable"


def call(function, *positional, **keywords):
    bound = inspect.signature(function).bind(*positional, **keywords)
    bound.apply_defaults()
    return argument_source(function, function.__code__, bound.arguments)


def test_arguments_are_written_as_source():
    def f(a, b=2, *rest, c=3, **more):
        pass

    def g(a, b=2, /, c="x"):
        pass

    assert call(f, 1) == "1"
    assert call(f, 1, 5, 6, c=4, d=[1]) == "1, 5, 6, c=4, d=[1]"
    assert call(g, (1,), 2) == "(1,)"
    assert call(g, {"a": None}, 2, c="y") == "{'a': None}, 2, 'y'"
    assert call(g, object()) is None
    assert call(g, float("nan")) is None
    assert call(g, "x" * 1000) is None
    assert read_arguments("1, x=[2]") == ([1], {"x": [2]})
