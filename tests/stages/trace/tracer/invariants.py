"""What holds for every trace, whatever was traced; raises AssertionError where it does not.

`tests.conftest` applies it to every recording that any test finishes in this process or gets out of
a sandbox, and to every row of traces that a test writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from model.frames import Frame, diff, resolve

Row = Mapping[str, Any]
WHOLE = ("return", "exception")


def check_frames(frames: Sequence[Row], lines: Sequence[str], outcome: str, result: str) -> None:
    """Check a trace: frames as rows of a table, the lines of the context, how it ended."""
    if not frames:
        assert outcome not in WHOLE, outcome
        return
    _check_each(frames, lines)
    left = _check_balance(frames)
    if outcome in WHOLE:
        assert left == -1, "the entry's scope was not left"
        assert frames[-1]["event"] == "return"
        assert frames[-1]["unwinding"] == (outcome == "exception")
        ends = [f["value"] for f in frames if f["event"] == outcome]
        assert ends[-1:] == [result], "the result is not what the entry came to"
    else:
        assert left >= 0 and result == "", f"{outcome}, but the entry's scope was left"
    _check_differences([Frame.from_row(frame) for frame in frames])


def _check_each(frames: Sequence[Row], lines: Sequence[str]) -> None:
    assert frames[0]["event"] == "call" and frames[0]["depth"] == 0, "starts with the entry's call"
    for frame in frames:
        assert frame["source"] == lines[frame["line"] - 1], "a source line is the context's"
        assert frame["source"].endswith("\n")
        assert (frame["locals"] is None) == (frame["event"] in ("return", "exception"))
        assert (frame["value"] is None) == (frame["event"] in ("call", "line"))
        assert frame["event"] == "return" or not frame["unwinding"]
        if frame["unwinding"]:
            assert frame["value"] == "None"
        names = [each["name"] for each in frame["locals"] or ()]
        assert len(names) == len(set(names)), "a local is shown once"


def _check_balance(frames: Sequence[Row]) -> int:
    """Check that every return closes the scope on top; return the depth at the end."""
    depth = -1
    left: Row | None = None  # where the entry's scope was left
    for frame in frames:
        if frame["event"] == "call":
            if left is not None and depth == -1:  # by a yield: an entry may be a generator
                resumed = frame["line"] == left["line"] and not left["unwinding"]
                assert resumed, "nothing follows the return of the entry"
            depth += 1
        assert frame["depth"] == depth >= 0, "frames lie where their scope does"
        if frame["event"] == "return":
            depth -= 1
            left = frame
    return depth


def _check_differences(frames: Sequence[Frame]) -> None:
    """Check that ``..`` always stands for something, that resolving it loses nothing, and that
    everything shown is text that JSON keeps.
    """
    steps = diff(frames)
    full: list[set[str]] = []
    for frame, step in zip(frames, steps, strict=True):
        if frame.event == "call":
            full.append(set())
        if step.locals is None:
            if frame.event == "return":
                full.pop()
                if full:
                    full[-1] = set()
            assert json.loads(json.dumps(step.value)) is not None
            continue
        unchanged = {name for name, text in step.locals if text == ".."}
        assert unchanged <= full[-1], f"{unchanged - full[-1]} had no value before"
        full[-1] = {name for name, _ in step.locals}
        assert frame.event != "call" or not unchanged, "a call shows all arguments in full"
        assert list(json.loads(json.dumps(dict(step.locals)))) == [n for n, _ in step.locals]
    assert [(f.locals, f.value) for f in resolve(steps)] == [(f.locals, f.value) for f in frames]


def check_recording(recording: Any) -> None:
    """Check what a tracer made."""
    check_frames(recording.frames, recording.text, recording.outcome, recording.result)


def check_row(row: Row) -> None:
    """Check a row of `stages.tables.TRACES`; an episode may be cut anywhere."""
    from model.trace import unmark  # what the bare interpreters lack is imported where it is needed
    from stages.trace.tracer.source import file_lines

    check_frames(row["frames"], file_lines(unmark(row["context"])), row["outcome"], row["result"])
