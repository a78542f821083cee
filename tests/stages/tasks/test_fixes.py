"""Fix tasks: the original passes, the mutant does not, and hopeless functions are left out."""

import ast

from stages.tasks.fixes import Candidate, choose_tests, make_fixes, varied_calls
from stages.tasks.settings import TaskSettings
from stages.tasks.verify import verify

SETTINGS = TaskSettings()
ORIGIN = {
    "group": "g",
    "source": "program",
    "document": "",
    "origin": "generator",
    "licence": "Apache-2.0",
    "trace": "t",
}


def candidate(source, call):
    return Candidate(source, "f", call, ORIGIN)


def test_a_fix_task_is_solved_by_its_answer_and_not_by_its_broken_line(box):
    sources = [
        ("def f(a, b):\n    c = a\n    c += b\n    return c\n", "f(1, 2)"),
        ("def f(s):\n    n = len(s)\n    return s[1:] * n\n", "f('abc')"),
    ]
    tasks = list(make_fixes([candidate(*s) for s in sources], 9, SETTINGS, box))
    assert len(tasks) == 2
    for task in tasks:
        assert len(task.visible_tests) == len(task.hidden_tests) == 3
        assert verify(task, task.answer, box) is True
        assert verify(task, task.context.split("\n")[task.line - 1], box) is False


def test_hopeless_functions_make_no_task_and_hurt_no_other(box):
    sources = [
        ("def f(a):\n    while a + 1: pass\n", "f(1)"),  # never returns
        ("import os\ndef f(a):\n    os._exit(a + 0)\n", "f(1)"),
        ("import random\ndef f(a):\n    return a + random.random()\n", "f(1)"),
        ("def f(a):\n    return missing + a\n", "f(1)"),
        ("def f(a):\n    return 1 + 1\n", "f(1)"),  # its values do not tell
        ("def f(a):\n    return a + 1\n", "f(1)"),
    ]
    tasks = list(make_fixes([candidate(*s) for s in sources], 9, SETTINGS, box))
    assert [task.answer for task in tasks] == ["return a + 1"]


def test_the_count_is_kept(box):
    sources = [(f"def f(a):\n    return a + {i}\n", "f(1)") for i in range(5)]
    assert len(list(make_fixes([candidate(*s) for s in sources], 3, SETTINGS, box))) == 3


def test_varied_calls_keep_types_and_repeat_nothing():
    calls = varied_calls("f(3, 'ab', [1, -2], flag=True)", seed=0)
    assert calls[0] == "f(3, 'ab', [1, -2], flag=True)"
    assert len(set(calls)) == len(calls) > 5
    for call in calls:
        tree = ast.parse(call, mode="eval").body
        values = [ast.literal_eval(a) for a in tree.args]
        assert [type(v) for v in values] == [int, str, list]
        assert type(ast.literal_eval(tree.keywords[0].value)) is bool
    assert varied_calls("f(3)", seed=0) == varied_calls("f(3)", seed=0)


def test_tests_prefer_different_values():
    settings = TaskSettings(visible_tests=1, hidden_tests=1)
    assert choose_tests(["f(1)", "f(2)", "f(3)"], ["1", "1", "2"], settings) == [
        ("f(1)", "1"),
        ("f(3)", "2"),
    ]
    assert choose_tests(["f(1)", "f(2)"], ["1", None], settings) is None
    assert choose_tests(["f(1)", "f(2)"], ["1", "1"], settings) is None
    assert choose_tests(["f(1)", "f(2)"], ["1", "<object>"], settings) is None
