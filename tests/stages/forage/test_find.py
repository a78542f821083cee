"""Which functions are foraged, and in which order documents are looked at."""

from stages.forage.find import documents, find_functions, module_name, without_docstring
from stages.forage.settings import ForageSettings

SETTINGS = ForageSettings()
FUNCTION = '''def double(n):
    """Twice.

    >>> double(2)
    4
    >>> double([])
    Traceback (most recent call last):
    TypeError
    """
    return n + n
'''


def row(origin, number, text=FUNCTION):
    return {
        "sha256": f"{origin}{number}",
        "origin": origin,
        "licence": "MIT",
        "path": f"{origin}/m{number}.py",
        "text": text,
    }


def test_a_function_comes_with_its_tests_and_without_its_docstring():
    (function,) = find_functions(FUNCTION, SETTINGS)
    assert function.name == "double"
    assert function.source == "def double(n):\n    return n + n\n"
    assert function.tests == ({"call": "double(2)\n", "expected": "4\n"},)
    (whole,) = find_functions(FUNCTION, ForageSettings(keep_docstring=True))
    assert whole.source == FUNCTION


def test_a_form_feed_ends_no_line():
    (function,) = find_functions("x = 1\n\x0c\n" + FUNCTION, SETTINGS)
    assert function.source == "def double(n):\n    return n + n\n"


def test_what_is_no_plain_function_with_a_doctest_of_its_own_is_passed_by():
    texts = [
        "@cache\n" + FUNCTION,
        FUNCTION.replace("double(2)", "other(2)"),
        FUNCTION.replace(">>>", "..."),
        FUNCTION.replace("n + n", "n" + " + n" * 500),
        "class A:\n" + "".join(f"    {line}\n" for line in FUNCTION.splitlines()),
        FUNCTION.replace("    4\n", "   4\n"),  # inconsistent indentation
    ]
    assert [list(find_functions(text, SETTINGS)) for text in texts] == [[]] * len(texts)


def test_origins_take_turns_and_the_order_of_rows_does_not_matter():
    rows = [row("big", n) for n in range(6)] + [row("small", 0), row("none", 0, "x = 1\n")]
    found = documents(rows, 4, SETTINGS)
    assert sorted(d.origin for d in found[:2]) == ["big", "small"]
    assert [d.origin for d in found].count("big") == 3
    assert documents(reversed(rows), 4, SETTINGS) == found


def test_module_names():
    assert module_name("heapq.py") == "heapq"
    assert module_name("a/b/__init__.py") == "a.b"
    assert module_name("a-b/c.py") == ""
    assert module_name("a/__main__.py") == ""


def test_docstrings_are_cut_by_lines():
    assert without_docstring('def f():\n    "doc"\n') == "def f():\n    pass\n"
    assert without_docstring('def f(): "doc"\n') == 'def f(): "doc"\n'
    assert without_docstring('def f():\n    "doc"; return 1\n') == 'def f():\n    "doc"; return 1\n'
    assert without_docstring("def f():\n    return 1\n") == "def f():\n    return 1\n"
