"""Traces in words: every number said was recorded, and the output can be read back."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.trace.renderings.phrases import PHRASES
from stages.trace.renderings.prose import check, is_literal, prose
from stages.trace.renderings.tree import trees
from tests.stages.trace.renderings.recorded import NAMES, case, made, programs

SOURCE = """\
def main():
    x = 3
    for i in range(2):
        x = x + double(i)
    return x


def double(n):
    return n * 2
"""

_CHANGED = re.compile(
    r"`(?P<n>\w+)` (?:goes from (?P<a>-?\d+) to (?P<b>-?\d+)|was (?P<c>-?\d+) and becomes "
    r"(?P<d>-?\d+)|changes to (?P<f>-?\d+) \(it was (?P<e>-?\d+)\))"
)


def transitions(call):
    """Return every (name, before, after) of numbers in a tree."""
    found = set()
    for each in call.calls:
        found |= transitions(each)
    for item in call.items:
        before = dict(item.frame.locals)
        found |= {(n, before[n], v) for n, v in item.news.items() if n in before}
        for each in item.calls:
            found |= transitions(each)
    return found


def agrees(trace, seed):
    text = prose(trace, seed)
    assert text == prose(trace, seed)
    known = transitions(trees(trace.frames)[0])
    for found in _CHANGED.finditer(text):
        old, new = found["a"] or found["c"] or found["e"], found["b"] or found["d"] or found["f"]
        assert (found["n"], old, new) in known
    last = trace.frames[-1]
    if not trace.whole:
        assert text.endswith("[OUTPUT]unknown[/OUTPUT]\n") and not check(text, trace)
    elif not last.unwinding:
        assert check(text, trace) == is_literal(last.value)
        other = text.replace(f"[OUTPUT]{last.value}[/OUTPUT]", "[OUTPUT]'other'[/OUTPUT]")
        assert not check(other, trace)
    else:
        assert check(text, trace)
        assert "[OUTPUT]raises " in text


def test_it_reads_as_a_person_would_say_it():
    text = prose(made(SOURCE), 5)
    assert text.startswith("[EXPLANATION]\n") and text.endswith(
        "[/EXPLANATION]\n[OUTPUT]5[/OUTPUT]\n"
    )
    assert "`double`" in text and "`x = x + double(i)`" in text
    assert check(text, made(SOURCE))


def test_the_wording_varies_with_the_seed():
    trace = made(SOURCE)
    assert len({prose(trace, seed) for seed in range(30)}) == 30
    assert len({prose(trace, seed).split("\n")[1][:3] for seed in range(30)}) >= 3


def test_it_never_speaks_of_a_trace():
    words = " ".join(phrase for phrases in PHRASES.values() for phrase in phrases)
    assert "trace" not in words.lower() and "frame" not in words.lower()
    assert all(len(phrases) > 1 for phrases in PHRASES.values())
    assert "trace" not in prose(made(SOURCE), 0)


def test_what_was_raised_is_the_output():
    text = prose(made("def main():\n    return {}['a']\n"), 0)
    assert text.endswith("[OUTPUT]raises KeyError('a')[/OUTPUT]\n")


@pytest.mark.parametrize(
    ("text", "literal"),
    [("1", True), ("[1, {'a': (2.5, None)}]", True), ("-1", True), ("'...'", True),
     ("[1, ...]", False), ("<A object>", False), ("nan", False), ("[1, 2, ...", False)],
)  # fmt: skip
def test_a_literal_is_whole(text, literal):
    assert is_literal(text) == literal


@pytest.mark.parametrize("name", NAMES)
def test_every_case_can_be_told(name):
    for seed in range(4):
        agrees(case(name), seed)


@settings(max_examples=80, deadline=None)
@given(trace=programs(), seed=st.integers(0, 1000))
def test_every_program_can_be_told(trace, seed):
    agrees(trace, seed)
