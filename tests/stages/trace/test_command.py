"""`python -m stages.trace` on files as people have them, in a real child process."""

import json
import subprocess
import sys

import pytest

from model.frames import Frame, diff, leaves_scope
from model.trace import MARK
from stages.trace import __main__ as command
from stages.trace.own_code import CallError, argument_list, trace_own
from stages.trace.programs import generate
from stages.trace.rows import program_row
from stages.trace.tracer.engine import NOTICE
from stages.trace.tracer.recording import TraceLimits
from stages.trace.tracer.tracer import trace_source

DEMO = '''\
"""A module with a docstring."""

import functools


def step(a, b):
    """One step."""
    print("a step")
    return b, a % b


def gcd(a, b):
    """Euclid's."""
    while b:
        a, b = step(a, b)
    return a


def fail(xs, n=0):
    return xs[n] / 0


def forever():
    n = 0
    while True:
        n += 1


def numbers(n):
    yield n


@functools.lru_cache
def cached(n):
    return n and cached(n - 1)


def twice(x):
    return x


def twice(x):  # this one is in force
    return x + x
'''


@pytest.fixture
def demo(tmp_path):
    file = tmp_path / "demo.py"
    file.write_text(DEMO)
    return file


def run(*words):
    return subprocess.run(
        [sys.executable, "-m", "stages.trace", *map(str, words)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_listing_shows_every_step_and_how_it_ends(demo):
    done = run(f"{demo}:gcd", 12, 18)
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["gcd(12,", "18)", f"{demo}:12"]
    assert ["12", "call", "def", "gcd(a,", "b):", "a", "=", "12,", "b", "=", "18"] in rows
    assert ["9", "return", "│", "return", "b,", "a", "%", "b", "(18,", "12)"] in rows
    assert rows[-1] == ["returned", "6", "(22", "frames)"]
    assert "\x1b" not in done.stdout  # no colours where no terminal is


def test_what_the_program_prints_goes_to_stderr(demo):
    done = run(f"{demo}:gcd", 12, 18, "--format", "json")
    assert done.stderr == "a step\n" * 3
    assert json.loads(done.stdout)["result"] == "6"


def test_json_holds_a_trace_that_the_grammar_can_show(demo):
    found = json.loads(run(f"{demo}:gcd", "a=12", "b=18", "--format", "json").stdout)
    assert (found["entry"], found["arguments"]) == ("gcd", "a=12, b=18")
    assert found["context"].replace(MARK, "") == DEMO
    assert found["context"].splitlines()[11] == "def gcd(a, b):" + MARK
    frames = [Frame.from_row(row) for row in found["frames"]]
    assert leaves_scope(frames) and diff(frames)[0].event == "call"


def test_a_function_alone_is_shown_without_docstring_and_steps_over_the_others(demo):
    done = run(f"{demo}:gcd", 4, 2, "--show", "function", "--format", "cwm")
    assert done.stdout == (
        "<|begin_of_text|><|trace_context_start|>def gcd(a, b):  # << START_OF_TRACE\n"
        "    while b:\n        a, b = step(a, b)\n    return a\n"
        '<|frame_sep|><|call_sep|>{"a": "4", "b": "2"}<|action_sep|>def gcd(a, b):\n'
        '<|frame_sep|><|line_sep|>{"a": "..", "b": ".."}<|action_sep|>    while b:\n'
        '<|frame_sep|><|line_sep|>{"a": "..", "b": ".."}<|action_sep|>        a, b = step(a, b)\n'
        '<|frame_sep|><|line_sep|>{"a": "2", "b": "0"}<|action_sep|>    while b:\n'
        '<|frame_sep|><|line_sep|>{"a": "..", "b": ".."}<|action_sep|>    return a\n'
        '<|frame_sep|><|return_sep|><|action_sep|>    return a\n<|arg_sep|>"2"'
        "<|frame_sep|><|end_of_text|>\n"
    )


def test_it_is_the_trace_that_the_stage_makes(tmp_path):
    for index in range(20):
        program = generate(3, 4, index)
        file = tmp_path / "program.py"
        file.write_text(program.source)
        found = trace_own(file, program.entry, program.arguments, TraceLimits()).to_json()
        recording = trace_source(program.source, program.entry, program.arguments, TraceLimits())
        row = program_row({**recording.to_json(), "program": "", "source": program.source}, "", "")
        assert {**found, "file": ""} == {"file": ""} | {
            name: row[name] for name in found.keys() - {"file"}
        }


def test_an_exception_is_a_trace_too(demo):
    done = run(f"{demo}:fail", "[1]", "n=0")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("raised ZeroDivisionError('division by zero')")


@pytest.mark.parametrize("form", ["listing", "cwm", "json"])
def test_a_budget_cuts_a_trace_and_says_so(demo, form):
    done = run(f"{demo}:forever", "--events", 10, "--format", form)
    assert done.returncode == 0
    said = "cut after 10 frames: the budget of events is spent (--events raises it)"
    assert said in (done.stdout if form == "listing" else done.stderr)
    assert "<|end_of_text|>" not in done.stdout


@pytest.mark.parametrize("engine", ["native", "python"])
def test_the_clock_cuts_what_no_event_can(tmp_path, monkeypatch, engine):
    monkeypatch.setattr("stages.trace.tracer.engine.engine_name", lambda: engine)
    file = tmp_path / "demo.py"
    file.write_text("def forever(n):\n    n += 1\n    while True: pass\n")
    trace = trace_own(file, "forever", "1", TraceLimits(), seconds=1)
    assert trace.recording.outcome == "time-budget"
    assert [frame["event"] for frame in trace.recording.frames] == ["call", "line", "line"]


def test_the_definition_in_force_is_shown_and_a_cached_function_is_reached(demo):
    done = run(f"{demo}:twice", 2)
    assert "def twice(x):  # this one is in force" in done.stdout
    assert "returned 0 " in run(f"{demo}:cached", 2).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["demo.py"], "is not FILE:FUNCTION"),
        (["nowhere.py:f"], "there is no file nowhere.py"),
        (["demo.py:gdc", "1"], "Perhaps you meant gcd. It has: step, gcd, fail"),
        (["demo.py:gcd", "1"], "gcd(a, b) cannot be called like this: missing a required argument"),
        (["demo.py:gcd", "1", "x"], "the argument 'x' is not a Python literal"),
        (["demo.py:gcd", "1", "2", "c=3"], "got an unexpected keyword argument 'c'"),
        (["demo.py:gcd", "a=1", "2"], "names come last"),
        (["demo.py:gcd", "a=1", "a=2"], "'a=2' has a name that is taken"),
        (["demo.py:gcd", "if=1"], "'if=1' has a name that is taken"),
        (["demo.py:numbers", "1"], "is a generator or coroutine"),
        (["demo.py:gcd", "1", "2", "--format", "xml"], "--format"),
    ],
)
def test_a_command_line_without_sense_is_answered_with_code_2(
    demo, monkeypatch, capsys, words, said
):
    from stages.trace.__main__ import main

    monkeypatch.chdir(demo.parent)
    try:
        code = main(words)
    except SystemExit as error:  # tyro ends the program itself
        code = error.code
    assert code == 2
    caught = capsys.readouterr()
    assert said in caught.err and not caught.out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(:\n", "is not Python: invalid syntax (bad.py, line 1)"),
        ("x = 1\n1 / 0\ndef f(): pass\n", "line 2, fails on import: ZeroDivisionError"),
        ("import sys\nsys.exit(3)\ndef f(): pass\n", "line 2, fails on import: SystemExit: 3"),
        ("def f(): pass\x00\n", "is not Python"),
        ("import functools\ndef d(f):\n    return functools.wraps(f)(lambda: 1)\n"
         "@d\ndef f(): pass\n", "ran no line of f: a decorator answers in its place"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_run_is_code_1(tmp_path, text, said):
    file = tmp_path / "bad.py"
    file.write_text(text)
    done = run(f"{file}:f")
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "source"),
    [
        ([], ""),
        (["-3", "[1, 2]", "n = {'a': (1,)}"], "-3, [1, 2], n={'a': (1,)}"),
        (["1, 2"], "(1, 2)"),
        (["'n=1'"], "'n=1'"),
    ],
)
def test_arguments_are_literals(words, source):
    assert argument_list(words) == source


@pytest.mark.parametrize("word", ["1) or (2", "*[1]", "**{}", "f()", "", "n=", "__import__('os')"])
def test_nothing_else_passes_for_an_argument(word):
    with pytest.raises(CallError, match="not a Python literal"):
        argument_list([word])


def test_it_says_that_the_engine_in_c_is_missing(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(command, "engine_name", lambda: "python")
    (tmp_path / "demo.py").write_text("def f(n):\n    return n\n")
    assert command.main([f"{tmp_path}/demo.py:f", "2", "--format", "json"]) == 0
    assert NOTICE in capsys.readouterr().err
