"""Annotated source: the lines in the order in which they ran, what each did beside it."""

import pytest
from hypothesis import given, settings

from stages.trace.renderings.annotated import annotated, annotated_rows
from tests.stages.trace.renderings.recorded import NAMES, case, made, programs

PROGRAM = """\
def main():
    total = 0
    for n in range(40):
        total += weigh(n)
    try:
        total[0]
    except TypeError as error:
        del n
    return [weigh(k) for k in (1, 50)]


def weigh(n):
    if n < 30:
        return n
    return 30
"""

EXPECTED = """\
def main():                               # called
    total = 0                             # total = 0
    for n in range(40):                   # pass 1, n = 0
        total += weigh(n)
│   def weigh(n):                         # called: n = 0
│       if n < 30:                        # true
│           return n                      # returns 0
    for n in range(40):                   # pass 2, n = 1
        total += weigh(n)                 # total = 1
│   def weigh(n):                         # called: n = 1
│       if n < 30:                        # true
│           return n                      # returns 1
                                          # … 28 passes 3 to 30 run no other lines: total = 435, n = 29
    for n in range(40):                   # pass 31, n = 30
        total += weigh(n)                 # total = 465
│   def weigh(n):                         # called: n = 30
│       if n < 30:                        # false
│       return 30                         # returns 30
                                          # … 8 passes 32 to 39 run no other lines: total = 705, n = 38
    for n in range(40):                   # pass 40, n = 39
        total += weigh(n)                 # total = 735
│   def weigh(n):                         # n = 39 → 30   (4 steps)
    for n in range(40):                   # ends after 40 passes
    try:
        total[0]                          # raises TypeError("'int' object is not subscriptable")
    except TypeError as error:            # true, error = TypeError("'int' object is not subscriptable")
        del n                             # n is gone, error is gone
"""  # noqa: E501


def test_a_program_reads_from_top_to_bottom():
    text = annotated(made(PROGRAM))
    assert text.startswith(EXPECTED)
    assert text.rstrip().splitlines()[-1].endswith("returns [1, 30]") or "[1, 30]" in text


@pytest.mark.parametrize("name", NAMES)
def test_every_case_can_be_read(name):
    trace = case(name)
    text = annotated(trace)
    assert text == annotated(trace)
    agrees(trace)


@settings(max_examples=60, deadline=None)
@given(trace=programs())
def test_every_program_can_be_read(trace):
    agrees(trace)


def agrees(trace):
    """Sources are lines that ran; what is returned at the end is what was."""
    lines = trace.context.split("\n")
    rows = annotated_rows(trace)
    for row in rows:
        if row.source and not row.source.startswith("<"):
            assert row.source.strip() in lines[row.line - 1]
    last = trace.frames[-1]
    if trace.whole and not last.unwinding and len(last.value) < 60 and "\n" not in last.value:
        assert any(row.depth == 0 and row.note.endswith(f"returns {last.value}") for row in rows)
    if not trace.whole:
        assert "cut here" in rows[-1].note
