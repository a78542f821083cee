"""What all tests share: no skipped test passes unnoticed, and one smoke run for many tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.every_trace import check_store, watch
from tests.head import Head, start_head, stop_head


def pytest_addoption(parser):
    parser.addoption("--no-skips", action="store_true", help="a skipped test fails the run (CI)")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = len(reporter.stats.get("skipped", [])) if reporter else 0
    if session.config.getoption("--no-skips") and skipped and exitstatus == 0:
        session.exitstatus = 1
        reporter.write_line(f"{skipped} skipped: with --no-skips that is a failure", red=True)


@pytest.fixture(scope="session")
def watched() -> Iterator[list[str]]:
    with watch() as broken:
        yield broken


@pytest.fixture(autouse=True)
def every_trace_holds(watched: list[str]) -> Iterator[None]:
    """No test makes a trace that breaks what holds for every trace; see `tests.every_trace`."""
    yield
    found = watched[:]
    watched.clear()
    assert not found


@dataclass(frozen=True)
class SmokeRun:
    """The whole smoke pipeline, run once as a submitted job on a head of its own."""

    store: Path
    head: Head
    folder: Path
    output: str
    returncode: int


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmokeRun]:
    store = tmp_path_factory.mktemp("store")
    head, process, folder = start_head(store, home=tmp_path_factory.mktemp("home"))
    try:
        done = head.submit("python", "pipelines/full.py", "--preset", "smoke")
        yield SmokeRun(store, head, folder, done.stdout + done.stderr, done.returncode)
    finally:
        stop_head(process, folder)


@pytest.fixture(scope="session")
def smoke_store(smoke_run: SmokeRun) -> Path:
    assert smoke_run.returncode == 0, smoke_run.output[-6000:]
    check_store(smoke_run.store)
    return smoke_run.store
