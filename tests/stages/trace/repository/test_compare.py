"""Which recordings are kept: the three sessions compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stages.trace.repository import runs
from stages.trace.repository.environment import Environment
from stages.trace.repository.runs import Folder, Session, trace_tests
from stages.trace.repository.session import _Told
from stages.trace.repository.settings import RepositorySettings

PASSED = "setup:passed call:passed teardown:passed"
FAILED = "setup:passed call:failed teardown:passed"


def compare(monkeypatch: pytest.MonkeyPatch, *sessions: Session) -> runs.Traced:
    queue = iter(sessions)
    monkeypatch.setattr(runs, "run_session", lambda *_, **__: next(queue))
    environment = Environment("python", "3.11.0", (), ())
    settings = RepositorySettings(name="x", path="/x")
    return trace_tests(Folder(Path("/x"), {}), environment, settings, ["test_x.py"])


def session(outcomes: dict[str, str], digest: str = "", **rest: Any) -> Session:
    recorded = {} if not digest else dict.fromkeys(outcomes, "{}")
    return Session(
        tests=outcomes,
        recordings=recorded,
        digests=dict.fromkeys(recorded, digest),
        status=0,
        **rest,
    )


def test_equal_outcomes_and_recordings_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = session({"a": PASSED}, "1")
    made = compare(monkeypatch, session({"a": PASSED}), traced, traced)
    assert (list(made.recordings), made.deterministic, made.same) == (["a"], {"a"}, 1)


def test_another_outcome_drops_the_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = session({"a": FAILED}, "1")
    made = compare(monkeypatch, session({"a": PASSED}), traced, traced)
    assert made.dropped == [("a", "outcome-differs", f"untraced {PASSED}, traced {FAILED}")]
    assert (made.recordings, made.same) == ({}, 0)


def test_another_recording_is_not_deterministic(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = session({"a": PASSED}), session({"a": PASSED}, "1"), session({"a": PASSED}, "2")
    made = compare(monkeypatch, *sessions)
    assert (list(made.recordings), made.deterministic) == (["a"], set())


def test_a_test_that_hangs_only_when_traced_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = session({}, "1", stopped={"a": "timeout"})
    made = compare(monkeypatch, session({"a": PASSED}), traced, traced)
    assert made.dropped == [("a", "timeout", "traced, it did not come to its end")]


def test_a_session_that_was_cut_says_that_there_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    cut, traced = session({"a": PASSED}), session({"a": PASSED}, "1")
    cut.status = None
    made = compare(monkeypatch, cut, traced, traced)
    assert [each[:2] for each in made.dropped] == [("", "session-cut")]
    assert made.recordings


@pytest.mark.parametrize(("name", "value"), [("calls", 7), ("result", "2")])
def test_the_number_of_calls_is_no_part_of_what_is_compared(name: str, value: object) -> None:
    """`subprocess.run` makes more or fewer of them as the other process is scheduled."""
    told = _Told()
    told.hear({"file": "x.py", "start": 0, "lines": 3}, False)
    step = ["line", 2, None, None, False, 0]
    recording = {"calls": 3, "result": "1", "trace": {"steps": [step]}}
    told.hear({"test": "a", "recording": {**recording, "trace": {"steps": [[*step]]}}}, False)
    told.hear({"test": "b", "recording": {**recording, name: value}}, False)
    assert (told.digests["a"] == told.digests["b"]) == (name == "calls")


def test_a_session_that_did_not_run_is_dropped_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    made = compare(monkeypatch, Session(status=4, said="usage: …"))
    assert made.dropped == [("", "session-failed", "pytest ended with 4: usage: …")]
