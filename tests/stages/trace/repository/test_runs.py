"""The tests of the small repository, traced in the sandbox."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from model.frames import Frame, Trace
from stages.trace.repository.environment import environment_of
from stages.trace.repository.history import test_files as files_of
from stages.trace.repository.rows import Refused, Row, Subject, rows_of
from stages.trace.repository.runs import Traced, outcome_word, read_folder, trace_tests
from stages.trace.repository.tree import tree_at
from stages.trace.settings import TraceSettings
from tests.stages.trace.repository.conftest import CONTEXT, Repository
from tests.stages.trace.tracer.invariants import check_row

P = "tests/test_prices.py"


@dataclass(frozen=True)
class Run:
    """A session of the head, the rows of its tests, and why others have none."""

    traced: Traced
    rows: dict[str, list[Row]]
    why: dict[str, str]


@pytest.fixture(scope="session")
def run(repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> Run:
    settings = repository.settings(events=2_000)
    environment = environment_of(settings)
    folder = tmp_path_factory.mktemp("run") / "repository"
    tree = tree_at(repository.path)
    tree.export(folder)
    shown = read_folder(folder)
    traced = trace_tests(shown, environment, settings, files_of(tree.files, settings))
    subject = Subject(
        settings, TraceSettings(), tree.revision, "MIT", "train", environment.version, shown
    )
    rows, why = {}, {test: reason for test, reason, _ in traced.dropped}
    for test in traced.recordings:
        try:
            rows[test] = rows_of(subject, traced, test)
        except Refused as refused:
            why[test] = refused.reason
    return Run(traced, rows, why)


def test_every_test_has_its_outcome_and_a_trace_or_a_reason(run: Run) -> None:
    words = {test: outcome_word(phases) for test, phases in run.traced.outcomes.items()}
    assert words == {
        "tests/test_dies.py::test_before": "passed",
        "tests/test_dies.py::test_after": "passed",
        f"{P}::test_total": "passed",
        f"{P}::test_tax[10-12]": "passed",
        f"{P}::test_tax[0-0]": "passed",
        f"{P}::TestWords::test_shout": "passed",
        f"{P}::OldStyle::test_empty": "passed",
        f"{P}::test_fails": "failed",
        f"{P}::test_skipped": "skipped",
        f"{P}::test_skips_itself": "skipped",
        f"{P}::test_expected": "xfailed",
        f"{P}::test_generator": "passed",
        f"{P}::test_thread": "passed",
        f"{P}::test_process": "passed",
        f"{P}::test_sees_no_tracer": "passed",
        f"{P}::test_waits": "passed",
        f"{P}::test_long": "passed",
        f"{P}::test_address": "passed",
        f"{P}::test_number_of_the_process": "passed",
        f"{P}::test_broken": "error",
        "tests/test_words.py::test_two_spaces": "passed",
        "tests/test_words.py::test_one_space": "passed",
    }
    assert run.why == {
        "tests/test_dies.py::test_exits": "crash",
        "tests/test_syntax.py": "not-collected",
        f"{P}::test_skipped": "skipped",
        f"{P}::test_broken": "set-up",
        f"{P}::test_number_of_the_process": "nondeterministic",
        f"{P}::test_address": "too-short",
        f"{P}::test_sees_no_tracer": "too-short",
        "tests/test_dies.py::test_before": "too-short",
        "tests/test_dies.py::test_after": "too-short",
    }
    assert set(run.rows) == set(words) - set(run.why)
    assert run.traced.same == len(words)


def test_every_source_is_the_line_of_the_context_that_it_names(run: Run) -> None:
    for rows in run.rows.values():
        for row in rows:
            check_row(row)
            assert Trace.from_row(row).frames[0].event == "call"


def test_a_trace_enters_the_repository_and_steps_over_the_rest(run: Run) -> None:
    (row,) = run.rows[f"{P}::test_total"]
    assert row["context"] == CONTEXT.replace("(basket):", "(basket):  # << START_OF_TRACE")
    steps = [(frame["event"], frame["source"].strip(), frame["depth"]) for frame in row["frames"]]
    assert steps == [
        ("call", "def test_total(basket):", 0),
        ("line", "assert basket.add(5).total() == 18", 0),
        ("call", "def add(self, price):", 1),
        ("line", "self.things.append(price)", 1),
        ("line", "return self", 1),
        ("return", "return self", 1),
        ("call", "def total(self):", 1),
        ("line", "return with_tax(sum(self.things))", 1),
        ("call", "def with_tax(net):", 2),
        ("line", "return math.floor(net + net * RATE)", 2),
        ("return", "return math.floor(net + net * RATE)", 2),
        ("return", "return with_tax(sum(self.things))", 1),
        ("return", "assert basket.add(5).total() == 18", 0),
    ]


def test_what_a_row_says_of_itself(run: Run, repository: Repository) -> None:
    (row,) = run.rows[f"{P}::test_tax[10-12]"]
    expected = {
        "source": "repository",
        "origin": "shop",
        "revision": repository.head,
        "licence": "MIT",
        "name": f"{P}:test_tax",
        "entry": "test_tax",
        "input_method": "pytest",
        "test": f"{P}::test_tax[10-12]",
        "outcome": "return",
        "result": "None",
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "deterministic": True,
        "tampered": False,
    }
    assert {name: row[name] for name in expected} == expected
    assert row["arguments"] == "10, 12"
    assert run.rows[f"{P}::OldStyle::test_empty"][0]["name"] == f"{P}:OldStyle.test_empty"


def test_failures_are_traces_that_end_in_an_exception(run: Run) -> None:
    for name in ("test_fails", "test_expected", "test_skips_itself"):
        (row,) = run.rows[f"{P}::{name}"]
        assert row["outcome"] == "exception"
        assert row["frames"][-1]["unwinding"]


def test_pytests_own_variables_are_left_out(run: Run) -> None:
    names = {
        each["name"]
        for rows in run.rows.values()
        for row in rows
        for frame in row["frames"]
        for each in frame["locals"] or ()
    }
    assert names and not {name for name in names if name.startswith("@")}


def test_a_spent_budget_ends_the_trace_and_not_the_test(run: Run) -> None:
    rows = run.rows[f"{P}::test_long"]
    assert rows[-1]["outcome"] == "event-budget"
    assert outcome_word(run.traced.outcomes[f"{P}::test_long"]) == "passed"


def test_addresses_of_people_are_replaced(run: Run) -> None:
    assert all("jane.doe" not in row["context"] for rows in run.rows.values() for row in rows)
    (row,) = run.rows[f"{P}::OldStyle::test_empty"]
    assert Frame.from_row(row["frames"][0]).source == "    def test_empty(self):\n"


def test_a_coroutine_is_recorded_over_its_waits(run: Run) -> None:
    (row,) = run.rows[f"{P}::test_waits"]
    events = [(frame["event"], frame["source"].strip()) for frame in row["frames"]]
    await_line = 'both = await asyncio.gather(twice("a"), twice("b"))'
    assert events == [
        ("call", "async def test_waits():"),
        ("line", await_line),
        ("return", await_line),
        ("call", await_line),
        ("line", 'assert both == ["A!A!", "B!B!"]'),
        ("return", 'assert both == ["A!A!", "B!B!"]'),
    ]
