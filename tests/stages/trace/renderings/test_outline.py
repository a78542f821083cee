"""What is told of a trace: every line that ran, every number right, long loops in short."""

import ast
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.frames import Frame, Trace, TraceError, leaves_scope
from stages.trace.renderings.annotated import annotated
from stages.trace.renderings.outline import Enter, Fold, Leave, Line, Skip, outline
from stages.trace.renderings.prose import check, prose
from stages.trace.renderings.tree import suspends, trees
from tests.model.traces import frames as any_frames
from tests.stages.trace.renderings.recorded import NAMES, case, made, programs


def lines_told(entries):
    return {entry.item.frame.line for entry in entries if isinstance(entry, Line)}


def holds_together(trace):
    """What is so of every outline."""
    entries = outline(trace)
    frames = set(map(id, trace.frames))
    depth = []
    for entry in entries:
        if isinstance(entry, Enter):
            assert entry.depth == len(depth)
            depth.append(entry.called)
        elif isinstance(entry, Leave):
            assert depth.pop() == entry.called
        elif isinstance(entry, Line):
            assert id(entry.item.frame) in frames and entry.depth == len(depth) - 1
            assert entry.item.after is None or id(entry.item.after) in frames
        elif isinstance(entry, Fold):
            assert id(entry.call.frame) in frames
        else:
            assert isinstance(entry, Skip) and entry.count > 0
    assert depth == []
    ran = {frame.line for frame in trace.frames if frame.event == "line"}
    folded = 0
    for entry in entries:
        folded |= entry.call.lines if isinstance(entry, Fold) else 0
    assert all(line in lines_told(entries) or folded >> line & 1 for line in ran)
    assert sum(root.frames for root in trees(trace.frames)) == len(trace.frames)
    return entries


@pytest.mark.parametrize("name", NAMES)
def test_every_case_is_told_whole(name):
    holds_together(case(name))


@settings(max_examples=80, deadline=None)
@given(trace=programs())
def test_every_program_is_told_whole(trace):
    holds_together(trace)


def judged(entry):
    """Return what Python says of a line's condition: its test, with the locals that are literals;
    None where there is none."""
    head, _, test = entry.item.frame.source.strip().partition(" ")
    if head not in ("if", "elif", "while") or not test.endswith(":") or entry.item.calls:
        return None
    try:
        known = {n: ast.literal_eval(v) for n, v in entry.item.frame.locals if n in test}
        return bool(eval(test[:-1], {}, known))
    except (NameError, ValueError, SyntaxError):
        return None


@settings(max_examples=150, deadline=None)
@given(trace=programs())
def test_what_is_said_of_conditions_is_what_python_says(trace):
    for entry in outline(trace):
        if isinstance(entry, Line) and (true := judged(entry)) is not None:
            if entry.loop is not None and entry.loop.is_tested:
                assert not entry.iteration or true
                assert entry.passes is None or not true
            else:
                assert entry.holds in (None, true)


CONTEXT = """\
def f(a):
    for x in a:
        if x: yield x
        elif (lambda: x)(): break
    while True:
        try:
            return [y for y in a]
        except ValueError:
            continue
"""


@settings(max_examples=200, deadline=None)
@given(frames=any_frames(), lines=st.lists(st.integers(1, 9), min_size=40, max_size=40))
def test_frames_that_no_program_made_are_told_too(frames, lines):
    source = CONTEXT.splitlines(keepends=True)
    placed = tuple(
        replace(frame, line=line, source=source[line - 1])
        for frame, line in zip(frames, lines, strict=False)
    )
    trace = Trace(CONTEXT, placed, whole=leaves_scope(placed))
    holds_together(trace)
    assert annotated(trace) and prose(trace, 0)


def test_frames_without_a_call_are_refused():
    with pytest.raises(TraceError, match="no frames"):
        outline(Trace("", ()))
    with pytest.raises(TraceError, match="in no call"):
        outline(Trace("", (Frame("line", "x", ()),)))


def test_a_generator_as_the_entry_is_told_each_time_it_runs():
    source = "def g(n):\n    for i in range(n):\n        yield i\n"
    frames = made(f"{source}\n\ndef main():\n    return list(g(2))\n").frames
    inner = tuple(replace(f, depth=0) for f in frames if f.depth == 1)
    trace = Trace(source, inner, whole=False)
    assert suspends(inner) and not suspends(frames)
    entries = holds_together(trace)
    assert [e.called.resumed for e in entries if isinstance(e, Enter)] == [False, True, True]
    assert "yields 1" in annotated(trace) and not check(prose(trace, 0), trace)


NESTED = """\
def main():
    n = 0
    for i in range({a}):
        for j in range({b}):
            if i == {c} and j == {d}:
                {word}
            n = n + 1
    while n > 0:
        n = n - 1
    return n
"""


@settings(max_examples=80, deadline=None)
@given(
    a=st.integers(0, 9),
    b=st.integers(0, 9),
    c=st.integers(0, 9),
    d=st.integers(0, 9),
    word=st.sampled_from(["pass", "break", "continue", "return 7", "n = 1 // 0"]),
)
def test_passes_have_their_numbers(a, b, c, d, word):
    trace = made(NESTED.format(a=a, b=b, c=c, d=d, word=word))
    entries = holds_together(trace)
    for entry in entries:
        if isinstance(entry, Line) and entry.iteration:
            after = dict(entry.item.after.locals)
            name = {3: "i", 4: "j"}.get(entry.item.frame.line)
            assert name is None or after[name] == str(entry.iteration - 1)
        if isinstance(entry, Line) and entry.passes is not None:
            limits = {3: a, 4: b}
            assert entry.passes == limits.get(entry.item.frame.line, entry.passes)
        if isinstance(entry, Line) and entry.item.frame.line == 5:
            now = dict(entry.item.frame.locals)
            assert entry.holds == (now["i"] == str(c) and now["j"] == str(d))
        if isinstance(entry, Skip):
            assert entry.what == "passes" and entry.first > 2


def test_a_loop_of_ten_thousand_lines_is_a_few():
    entries = holds_together(made("def main():\n    n = 0\n    while n < 900:\n        n += 1\n"))
    assert len(entries) < 12
    (skip,) = [entry for entry in entries if isinstance(entry, Skip)]
    assert (skip.what, skip.first, skip.count) == ("passes", 3, 897)
    assert skip.news == {"n": "899"}


def test_a_pass_that_runs_another_line_is_told():
    entries = holds_together(
        made("def main():\n    for i in range(99):\n        if i == 50:\n            i = -1\n")
    )
    told = [e.iteration for e in entries if isinstance(e, Line) and e.iteration]
    assert told == [1, 2, 51, 99]


def test_a_recursion_is_told_down_to_its_end_and_then_in_results():
    entries = holds_together(
        made(
            "def main():\n    return fib(15)\n\n\ndef fib(n):\n    if n < 2:\n        return n\n"
            "    return fib(n - 1) + fib(n - 2)\n",
            events=100_000,
        )
    )
    assert 7 in lines_told(entries) or any(isinstance(e, Fold) for e in entries)
    assert len(entries) < 120


def test_endless_loops_count_their_passes():
    entries = holds_together(
        made(
            "def main():\n    n = 0\n    while True:\n        n += 1\n        if n == 5:\n"
            "            return n\n"
        )
    )
    assert [e.iteration for e in entries if isinstance(e, Line) and e.iteration] == [1, 2, 5]


def test_conditions_say_what_became_of_them():
    entries = holds_together(
        made(
            "def main():\n    x = 3\n    if x > 5:\n        x = 0\n    elif x > 2:\n        x = 1\n"
            "    try:\n        x[0]\n    except ValueError:\n        x = 2\n"
            "    except TypeError:\n        x = 4\n    if [][0]:\n        x = 9\n"
        )
    )
    told = {e.item.frame.line: e.holds for e in entries if isinstance(e, Line)}
    assert (told[3], told[5], told[9], told[11]) == (False, True, False, True)
    assert told[13] is None  # it raised before it was known


def test_a_source_that_is_no_python_is_told_all_the_same():
    trace = made("def main():\n    for i in range(3):\n        pass\n    return 3\n")
    entries = holds_together(replace(trace, context="<no Python>"))
    assert not any(isinstance(e, Line) and (e.iteration or e.holds) for e in entries)
