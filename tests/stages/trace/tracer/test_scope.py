"""What is stepped into: several files, any entry, depth; and entries other than a function."""

from __future__ import annotations

import ast

import pytest

from stages.trace.tracer import Target, TraceLimits, Tracer
from stages.trace.tracer.source import ShownSource, file_lines, whole_source
from tests.stages.trace.tracer.traces import ENGINES, short, trace

BOTH = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)


def loaded(code, source, engine):
    """Return the ``main`` of some code and a tracer of it, which shows ``source``."""
    names = {}
    exec(compile(code, "<program>", "exec"), names)
    target = Target("main", names["main"], whole_source(source, "main"))
    tracer = Tracer({names["main"].__code__: target}, TraceLimits(), engine=engine)
    return names["main"], tracer


class Files:
    """Files that call each other; the text of all that is shown grows as they are asked for."""

    def __init__(self, **sources):
        self.names = {}
        self.asked = []
        self.text = []
        self.sources = sources
        for name, source in sources.items():
            exec(compile(source, name, "exec"), self.names)

    def __call__(self, name):
        self.asked.append(name)
        if name not in self.sources or name == "hidden":
            return None
        before = len(self.text)
        self.text += file_lines(self.sources[name])
        numbers = {n: before + n for n in range(1, len(self.text) - before + 1)}
        return ShownSource(self.text, numbers, {}, before + 1)


@pytest.fixture
def files():
    return Files(
        hidden="def k(x):\n    return g2(x)\n",
        first="def f(x):\n    y = g(x)\n    return y\n",
        second="# a comment\ndef g(x):\n    return k(x) + 1\n\ndef g2(x):\n    return x\n",
    )


@BOTH
def test_other_files_are_stepped_into_and_asked_for_once(files, engine):
    shown = files("first")
    target = Target("f", files.names["f"], shown)
    tracer = Tracer({files.names["f"].__code__: target}, TraceLimits(), engine=engine, files=files)
    with tracer.watching():
        files.names["f"](1)
        files.names["f"](2)
    assert short(tracer.finished[0]) == [
        "C 1 x=1",
        "L 2 x=1",
        "C 5 x=1",
        "L 6 x=1",
        "C 8 x=1",
        "L 9 x=1",
        "R 9 1",
        "R 6 2",
        "L 3 x=1 y=2",
        "R 3 2",
    ]
    assert [frame["source"] for frame in tracer.finished[0].frames][2] == "def g(x):\n"
    assert short(tracer.finished[1])[-1] == "R 3 3"
    assert files.asked.count("second") == files.asked.count("hidden") == 1


@BOTH
def test_any_call_into_a_shown_file_is_an_entry_while_none_is_open(files, engine):
    tracer = Tracer({}, TraceLimits(), engine=engine, files=files, any_entry=True)
    with tracer.watching():
        files.names["k"](1)
        files.names["f"](2)
    assert [(each.name, each.arguments) for each in tracer.finished] == [("g2", "1"), ("f", "2")]
    assert [each.outcome for each in tracer.finished] == ["return", "return"]


@BOTH
@pytest.mark.parametrize(
    ("depth", "seen"),
    [
        (1, ["C 3 n=2", "L 4 n=2", "L 5 n=2 m=[]", "R 5 []"]),
        (
            2,
            [
                "C 3 n=2",
                "L 4 n=2",
                "C 3 n=1",
                "L 4 n=1",
                "L 5 n=1 m=[]",
                "R 5 []",
                "L 5 n=2 m=[]",
                "R 5 []",
            ],
        ),
    ],
)
def test_what_lies_deeper_is_stepped_over(engine, depth, seen):
    source = (
        "def leaf():\n    return []\n"
        "def main(n):\n    m = main(n - 1) if n else leaf()\n    return m\n"
    )
    assert short(trace(source, "main", "2", engine, depth=depth)) == seen


@BOTH
def test_the_attributes_of_objects_are_an_option(engine):
    source = "class A:\n    pass\ndef main():\n    a = A()\n    a.x = 1\n    return a\n"
    assert trace(source, engine=engine).result == "<A object x=1>"
    assert trace(source, engine=engine, attributes=False).result == "<A object>"


@BOTH
def test_a_program_may_go_on_when_a_budget_is_spent(engine):
    source = "def main():\n    n = 0\n    while n < 500:\n        n += 1\n    done.append(n)\n"
    names = {"done": []}
    exec(compile(source, "<loop>", "exec"), names)
    target = Target("main", names["main"], whole_source(source, "main"))
    limits = TraceLimits(events=20, go_on=True)
    tracer = Tracer({names["main"].__code__: target}, limits, engine=engine)
    with tracer.watching():
        names["main"]()
    assert names["done"] == [500]
    assert [each.outcome for each in tracer.finished] == ["event-budget"]
    assert len(tracer.finished[0].steps) == 20 and not tracer.finished[0].tampered


@BOTH
def test_names_that_pytest_adds_are_left_out(engine):
    source = "def main():\n    _ = 1\n    x = 2\n    return x\n"
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "_":
            node.id = "@py_assert1"
    main, tracer = loaded(tree, source, engine)
    assert "@py_assert1" in main.__code__.co_varnames
    with tracer.watching():
        main()
    assert short(tracer.finished[0]) == ["C 1", "L 2", "L 3", "L 4 x=2", "R 4 2"]


@BOTH
def test_an_entry_that_is_a_generator_stays_open_while_it_waits(engine):
    source = "def main(n):\n    got = yield n\n    yield got\n"
    main, tracer = loaded(source, source, engine)
    with tracer.watching():
        it = main(1)
        next(it)
        it.send(5)
        assert list(it) == []
    [recording] = tracer.finished
    assert short(recording) == [
        "C 1 n=1",
        "L 2 n=1",
        "R 2 1",
        "C 2 n=1",
        "L 3 n=1 got=5",
        "R 3 5",
        "C 3 n=1 got=5",
        "R 3 None",
    ]
    assert (recording.outcome, recording.result) == ("return", "None")


@BOTH
def test_an_entry_that_waits_when_the_tracer_stops_ends_with_what_it_yielded(engine):
    source = "def main(n):\n    yield n\n    yield 2\n"
    main, tracer = loaded(source, source, engine)
    it = main(1)
    with tracer.watching():
        next(it)
    [recording] = tracer.finished
    assert short(recording) == ["C 1 n=1", "L 2 n=1", "R 2 1"]
    assert (recording.outcome, recording.result) == ("return", "1")


@BOTH
def test_a_modules_own_code_can_be_the_entry(engine):
    source = "import math\n\ndef f(x):\n    return x + 1\n\ny = f(1)\n"
    code = compile(source, "<program>", "exec", dont_inherit=True)
    target = Target("<module>", lambda: None, whole_source(source, "<module>"))
    tracer = Tracer({code: target}, TraceLimits(), engine=engine)
    with tracer.watching():
        exec(code, {"__name__": "program"})
    [recording] = tracer.finished
    math, f = "math=<module 'math'>", "f=<function f>"
    assert short(recording) == [
        "C 1",
        "L 1",
        f"L 3 {math}",
        f"L 6 {math} {f}",
        "C 3 x=1",
        "L 4 x=1",
        "R 4 2",
        "R 6 None",
    ]
