"""What all tests share: no skipped test passes unnoticed, and one smoke run for whoever needs a store."""

from __future__ import annotations

import pytest


def pytest_addoption(parser):
    parser.addoption("--no-skips", action="store_true", help="a skipped test fails the run (CI)")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = len(reporter.stats.get("skipped", [])) if reporter else 0
    if session.config.getoption("--no-skips") and skipped and exitstatus == 0:
        session.exitstatus = 1
        reporter.write_line(f"{skipped} skipped: with --no-skips that is a failure", red=True)
