"""The five families, and that what is not mutated stays as it was written."""

import ast
from collections import Counter

import pytest

from stages.forage.mutations import FAMILIES, constants, mutate

SOURCE = '''def merge(one, other, key=None):  # a comment
    """Merge.

    >>> merge([1], [2])
    [1, 2]
    """
    import heapq
    if one and not other:
        return list( one )
    total = len(one) + len(other)
    done = []
    for item in heapq.merge(one, other, key=key):
        done.append(item)
    return done[:total]
'''


def details(source, family):
    return {m.detail: m.source for m in mutate(source, {family: FAMILIES[family]})}


def test_every_family_finds_something_and_all_parse():
    found = mutate(SOURCE)
    assert set(Counter(m.family for m in found)) == set(FAMILIES)
    for mutation in found:
        ast.parse(mutation.source)
        assert mutation.source != SOURCE
        assert "# a comment" in mutation.source
        assert ">>> merge([1], [2])" in mutation.source
    assert len({m.source for m in found}) == len(found)
    assert mutate(SOURCE) == found


def test_operators():
    found = details(SOURCE, "operators")
    assert "total = len(one) - len(other)" in found["+ becomes -"]
    assert "if one or not other:" in found["and becomes or"]
    assert "if one and other:" in found["not dropped"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a += 1", "a -= 1"),
        ("a = (a) * (a + 1)", "a = (a) + (a + 1)"),
        ("a = 1 < a <= 3", "a = 1 >= a <= 3"),
        ("a = a not in [1]", "a = a in [1]"),
        ("a = 'é' + a", "a = 'é' - a"),
    ],
)
def test_operators_are_found_where_they_stand(before, after):
    source = f"def f(a):\n    {before}\n    return a\n"
    assert f"def f(a):\n    {after}\n    return a\n" in details(source, "operators").values()


def test_statements():
    found = details(SOURCE, "statements")
    assert "    pass\n    if one" in found["'import heapq' deleted"]
    assert "        pass\n    total" in found["'return list( one )' deleted"]


def test_variables_swap_every_occurrence():
    found = details("def f(a, b=1):\n    return a[b] + a\n", "variables")
    assert found == {"a and b swapped": "def f(b, a=1):\n    return b[a] + b\n"}


def test_arguments():
    found = details("def f(a, b):\n    return g(a, h(b), *b)\n", "arguments")
    assert set(found.values()) == {
        "def f(a):\n    return g(a, h(b), *b)\n",
        "def f(a, b):\n    return g(h(b), a, *b)\n",
    }


def test_functions_delete_the_body_or_a_block_but_not_the_docstring():
    found = details(SOURCE, "functions")
    assert found["body deleted"].endswith('    """\n    pass\n')
    assert "    done = []\n    pass\n    return done[:total]" in "".join(found.values())


def test_constants_are_off_by_one():
    (mutation,) = mutate("def f():\n    return True, 'x', 4\n", {"constants": constants})
    assert mutation.source == "def f():\n    return True, 'x', 5\n"
