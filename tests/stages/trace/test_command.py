"""`python -m stages.trace` on files as people have them, in a real child process."""

import json
import os
import pty
import subprocess
import sys

import pytest

from model.frames import Frame, diff, leaves_scope
from model.tokens import piece_text
from model.trace import MARK
from stages.trace import __main__ as command
from stages.trace.own_code import (
    CallError,
    OwnCodeError,
    Request,
    answered,
    argument_list,
    trace_contained,
    trace_own,
)
from stages.trace.programs import generate
from stages.trace.renderings.debugger import debugger_pieces, sample_session
from stages.trace.renderings.debugger_check import check_session
from stages.trace.renderings.prose import check
from stages.trace.tracer import trace_source
from stages.trace.tracer.engine import NOTICE
from stages.trace.tracer.recording import TraceLimits

DEMO = '''\
"""A module with a docstring."""

import contextlib
import functools
import sys


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
    for each in range(n):
        yield each


async def later(n):
    return n + 1


@contextlib.contextmanager
def opened(n):
    yield n
    print("closed")


async def stream(n):
    yield n


@functools.lru_cache
def cached(n):
    return n and cached(n - 1)


def twice(x):
    return x


def twice(x):  # this one is in force
    return x + x


class Stack:
    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.append(item)
        return len(self.items)

    @staticmethod
    def add(a, b):
        return a + b

    @classmethod
    def name(cls):
        return cls.__name__

    def each(self):
        yield from self.items


class Needy:
    def __init__(self, what):
        self.what = what

    def get(self):
        return self.what


if __name__ == "__main__":
    print(sys.argv[1:], __file__)
    sys.exit(gcd(12, 18))
'''


@pytest.fixture
def demo(tmp_path):
    file = tmp_path / "demo.py"
    file.write_text(DEMO)
    return file


def run(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "stages.trace", *map(str, words)],
        capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip


def traced(file, name="", arguments="", **rest):
    """Trace here, without the command line."""
    return trace_own(Request(file=str(file), name=name, arguments=arguments, **rest))


def test_people_are_shown_the_source_and_what_happened(demo):
    done = run(f"{demo}:gcd", 12, 18)
    assert done.returncode == 0
    rows = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert rows[0] == f"gcd(12, 18) {demo}:14"
    assert "14 def gcd(a, b): called: a = 12, b = 18" in rows
    assert "16 while b: pass 1" in rows
    assert "17 a, b = step(a, b) a = 18, b = 12" in rows
    assert "8 │ def step(a, b): called: a = 12, b = 18" in rows
    assert "11 │ return b, a % b returns (18, 12)" in rows
    assert rows[-1] == "returned 6 (22 frames)"
    assert "\x1b" not in done.stdout  # no colours where no terminal is


def test_a_terminal_has_colours_unless_they_are_not_wanted(demo):
    def shown(**environment):
        ours, theirs = pty.openpty()
        done = subprocess.Popen(
            [sys.executable, "-m", "stages.trace", f"{demo}:twice", "2"],
            stdout=theirs, stdin=subprocess.DEVNULL,
            env={**os.environ, "TERM": "xterm-256color", "NO_COLOR": "", **environment},
        )  # fmt: skip
        os.close(theirs)
        text = b""
        while b"frames)" not in text:
            text += os.read(ours, 1 << 16)
        done.wait(60)
        os.close(ours)
        return text

    assert b"\x1b[" in shown()
    assert b"\x1b[" not in shown(NO_COLOR="1")


def test_long_traces_are_shown_in_part(demo):
    done = run(f"{demo}:gcd", 12, 18, "--format", "listing", "--limit", 5)
    assert "… 17 more rows: --limit 0 shows all" in done.stdout
    assert len(done.stdout.splitlines()) == 12
    assert "more rows" not in run(f"{demo}:gcd", 12, 18, "--limit", 0).stdout


def test_the_listing_shows_every_step_and_how_it_ends(demo):
    done = run(f"{demo}:gcd", 12, 18, "--format", "listing")
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["gcd(12,", "18)", f"{demo}:14"]
    assert ["14", "call", "def", "gcd(a,", "b):", "a", "=", "12,", "b", "=", "18"] in rows
    assert ["11", "return", "│", "return", "b,", "a", "%", "b", "(18,", "12)"] in rows
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
    assert found["context"].splitlines()[13] == "def gcd(a, b):" + MARK
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
        found = traced(file, program.entry, program.arguments).recording
        expected = trace_source(program.source, program.entry, program.arguments, TraceLimits())
        assert (found.frames, found.outcome, found.result, found.arguments) == (
            expected.frames, expected.outcome, expected.result, program.arguments
        )  # fmt: skip


def test_a_file_alone_is_run_as_a_program(demo):
    done = run(demo, "--format", "json", "--", "--verbose", "x")
    assert done.returncode == 0
    assert done.stderr.startswith(f"['--verbose', 'x'] {demo}\na step\n")
    found = json.loads(done.stdout)
    assert (found["entry"], found["arguments"]) == ("<module>", "")
    assert (found["outcome"], found["result"]) == ("exception", "SystemExit(6)")
    frames = [Frame.from_row(row) for row in found["frames"]]
    assert frames[0].depth == 0 and {f.depth for f in frames if f.line == 17} == {1}
    done = run(demo)
    assert "ended by SystemExit(6)" in done.stdout and "<module>" in done.stdout
    assert run(demo, "--show", "function").returncode == 2


def test_methods_are_called_of_an_object_made_without_arguments(demo):
    assert traced(demo, "Stack.push", "3").recording.result == "1"
    assert traced(demo, "Stack.add", "3, b=4").recording.result == "7"
    assert traced(demo, "Stack.name").recording.result == "'Stack'"
    with pytest.raises(CallError, match=r"Needy\(\) makes none .TypeError"):
        traced(demo, "Needy.get")
    with pytest.raises(CallError, match="a generator of a class"):
        traced(demo, "Stack.each")


@pytest.mark.parametrize(
    ("name", "line", "result"),
    [
        ("numbers", "    return list(numbers(2))\n", "[0, 1]"),
        ("later", "    return asyncio.run(later(2))\n", "3"),
        ("opened", "    with opened(2) as found:\n", "2"),
    ],
)
def test_what_only_runs_when_used_is_used_by_a_main(demo, name, line, result):
    trace = traced(demo, name, "2")
    assert trace.recording.name == "main" and trace.recording.result == result
    assert line in trace.context
    marked = trace.context.splitlines()[trace.shown.entry_line - 1]
    assert marked == "def main():" + MARK
    assert any(f.depth == 1 and f.line < 60 for f in trace.trace.frames)


def test_the_sandbox_gives_the_same_trace_and_keeps_the_program_in(demo, tmp_path):
    request = Request(file=str(demo), name="gcd", arguments="12, 18")
    here = trace_own(request)
    there, printed = trace_contained(request)
    assert there.recording.frames == here.recording.frames
    assert (there.shown, printed) == (here.shown, "a step\n" * 3)
    file = tmp_path / "bad.py"
    file.write_text(f"import pathlib\npathlib.Path({str(demo)!r}).write_text('gone')\n")
    done = run(file, "--sandbox")
    assert "raised FileNotFoundError" in done.stdout or "raised PermissionError" in done.stdout
    assert demo.read_text() == DEMO
    done = run(f"{demo}:gdc", 1, "--sandbox")
    assert (done.returncode, done.stdout) == (2, "") and f"{demo} has no outermost" in done.stderr


@pytest.mark.parametrize(
    "answer",
    [None, 3, [], {}, {"shown": {}}, {"error": "CallError"},
     {"shown": {"text": ["x\n"], "numbers": [[1, 1]], "definitions": [], "entry_line": 2}},
     {"shown": {"text": ["x\n"], "numbers": [[1, 7]], "definitions": [], "entry_line": 1}},
     {"shown": {"text": ["x\n"], "numbers": [[1, 1]], "definitions": [], "entry_line": 1},
      "recording": {"trace": {"strings": [], "locals": [], "steps": [["line", 9]]}}}],
)  # fmt: skip
def test_a_forged_answer_is_no_trace(answer):
    with pytest.raises(OwnCodeError, match="answered in the tracer's place"):
        answered(Request(file="demo.py"), answer)


def test_prose_and_debugger_sessions_agree_with_the_frames(demo):
    trace = traced(demo, "gcd", "12, 18").trace
    text = run(f"{demo}:gcd", 12, 18, "--format", "prose", "--seed", 3).stdout
    assert check(text, trace) and "`step` " in text
    text = run(f"{demo}:gcd", 12, 18, "--format", "debugger", "--seed", 3).stdout
    pieces = debugger_pieces(trace, sample_session(trace, 3))
    check_session(pieces, trace)
    assert text == "".join(map(piece_text, pieces)) + "\n"


def test_an_exception_is_a_trace_too(demo):
    done = run(f"{demo}:fail", "[1]", "n=0")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("raised ZeroDivisionError('division by zero')")


@pytest.mark.parametrize("form", ["annotated", "listing", "prose", "cwm", "debugger", "json"])
def test_a_budget_cuts_a_trace_and_says_so(demo, form):
    done = run(f"{demo}:forever", "--events", 10, "--format", form)
    assert done.returncode == 0
    said = "cut after 10 frames: the budget of events is spent (--events raises it)"
    assert said in (done.stdout if form in ("annotated", "listing") else done.stderr)
    assert "<|end_of_text|>" not in done.stdout


def test_it_says_that_a_program_meddled_with_tracing(tmp_path):
    file = tmp_path / "meddling.py"
    file.write_text("import sys\n\n\ndef f():\n    sys.settrace(None)\n    return 1\n")
    assert "it called what is locked" in run(f"{file}:f").stdout


def test_a_budget_of_nothing_shows_nothing(demo):
    done = run(f"{demo}:gcd", 1, 2, "--events", 0)
    assert (done.returncode, done.stdout) == (0, "") and "cut after 0 frames" in done.stderr


def test_a_file_that_begins_with_a_function_is_a_program_all_the_same(tmp_path):
    file = tmp_path / "first.py"
    file.write_text("def f():\n    return 1\nf()\n")
    lines = [" ".join(line.split()) for line in run(file).stdout.splitlines()]
    assert "1 <module>" in lines and "3 f()" in lines and "1 │ def f(): called" in lines
    assert lines[-1] == "ran to its end (7 frames)"


@pytest.mark.parametrize("engine", ["native", "python"])
def test_the_clock_cuts_what_no_event_can(tmp_path, monkeypatch, engine):
    monkeypatch.setattr("stages.trace.tracer.engine.engine_name", lambda: engine)
    file = tmp_path / "demo.py"
    file.write_text("def forever(n):\n    n += 1\n    while True: pass\n")
    trace = traced(file, "forever", "1", seconds=1)
    assert trace.recording.outcome == "time-budget"
    assert [frame["event"] for frame in trace.recording.frames] == ["call", "line", "line"]


def test_the_definition_in_force_is_shown_and_a_cached_function_is_reached(demo):
    done = run(f"{demo}:twice", 2)
    assert "def twice(x):  # this one is in force" in done.stdout
    assert "returned 0 " in run(f"{demo}:cached", 2).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.py"], "there is no file nowhere.py. What to trace is a file, such as demo.py"),
        (["demo.py:g-d"], "there is no file demo.py:g-d"),
        (["demo.py:Stack.pop"], "Perhaps you meant Stack.push"),
        (["nowhere.py:f"], "there is no file nowhere.py"),
        (["demo.py:gdc", "1"], "Perhaps you meant gcd. It has: step, gcd, fail"),
        (["demo.py:gcd", "1"], "gcd(a, b) cannot be called like this: missing a required argument"),
        (["demo.py:gcd", "1", "x"], "the argument 'x' is not a Python literal"),
        (["demo.py:gcd", "1", "2", "c=3"], "got an unexpected keyword argument 'c'"),
        (["demo.py:gcd", "a=1", "2"], "names come last"),
        (["demo.py:gcd", "a=1", "a=2"], "'a=2' has a name that is taken"),
        (["demo.py:gcd", "if=1"], "'if=1' has a name that is taken"),
        (["demo.py:stream", "1"], "is an asynchronous generator"),
        (["demo.py:gcd", "1", "2", "--format", "xml"], "--format"),
    ],
)
def test_a_command_line_without_sense_isanswered_with_code_2(
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
        ("", "bad.py is empty"),
        ("return 1\ndef f(): pass\n", "is not Python: 'return' outside function (bad.py, line 1)"),
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


@pytest.mark.parametrize("words", [["--value-chars", "9"], ["--events", "-1"], ["--seconds", "-1"]])
def test_budgets_that_nothing_can_meet_are_refused(tmp_path, capsys, words):
    (tmp_path / "demo.py").write_text("def f(x):\n    return x\n")
    assert command.main([f"{tmp_path}/demo.py:f", "2", *words]) == 2
    assert " ".join(words) in capsys.readouterr().err
