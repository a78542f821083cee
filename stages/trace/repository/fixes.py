"""What a fix did to a test: its trace with the old source, and its trace with the new.

A commit that changes both tests and source fixes a test when the test passes after it and does not
when the changed source alone is as it was before.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from stages.trace.repository.errors import Refused
from stages.trace.repository.history import is_test_file, parent_of, test_files
from stages.trace.repository.rows import Subject, dropped, rows_of
from stages.trace.repository.runs import (
    Session,
    Traced,
    outcome_word,
    read_folder,
    run_session,
    trace_tests,
)
from stages.trace.repository.settings import RepositorySettings
from stages.trace.repository.tree import git, tree_at

if TYPE_CHECKING:
    from stages.trace.repository.environment import Environment
    from stages.trace.repository.shard import RepositoryShard
    from stages.trace.shards import Made

_TEST_FOLDERS = frozenset({"test", "tests", "testing"})


def trace_fixes(shard: RepositoryShard, environment: Environment, made: Made) -> None:
    """Add the pairs of the first ``shard.most`` commits that turn out to be fixes."""
    found = 0
    for commit in shard.revisions:
        if found == shard.most:
            return
        before = len(made.rows)
        with tempfile.TemporaryDirectory(prefix="repository-") as scratch:
            _trace_fix(shard, environment, commit, Path(scratch), made)
        found += len(made.rows) > before


def _trace_fix(
    shard: RepositoryShard, environment: Environment, commit: str, scratch: Path, made: Made
) -> None:
    repository, path = shard.repository, Path(shard.repository.path)
    parent = parent_of(path, commit)
    if parent is None:
        return
    after, before = tree_at(path, commit), tree_at(path, parent)
    changed = _changed(path, parent, commit)
    files = [name for name in test_files(changed, repository) if name in after.files]
    if not files or not shard.has_its_licence(after, made):
        return
    folders = {side: scratch / side / "repository" for side in ("before", "after")}
    after.export(folders["after"])
    source = {name for name in changed if not _is_of_tests(name, repository)}
    after.export(folders["before"], after.files.keys() - source)
    before.export(folders["before"], source)
    subjects = {
        side: shard.subject(commit, environment, read_folder(folder))
        for side, folder in folders.items()
    }
    outcomes = {
        side: run_session(subject.folder, environment, repository, files)
        for side, subject in subjects.items()
    }
    for session in outcomes.values():
        made.cpu_seconds.update({"untraced": session.cpu_seconds})
    tests = fixed(outcomes["before"], outcomes["after"])
    if not tests:
        return
    traced = {
        side: trace_tests(subjects[side].folder, environment, repository, files, only=tests)
        for side in folders
    }
    _add_pairs(subjects, traced, tests, made)


def _add_pairs(
    subjects: Mapping[str, Subject], traced: Mapping[str, Traced], tests: list[str], made: Made
) -> None:
    """Add both traces of each test; neither where one is missing."""
    for side in subjects:
        made.layer, made.engine = traced[side].layer, traced[side].engine or made.engine
        made.cpu_seconds.update(traced[side].cpu_seconds)
    after = subjects["after"]
    made.tried["pytest"] += len(tests)
    for test in tests:
        name = f"{after.repository.name}:{after.revision}:{test}"
        pair = hashlib.sha256(name.encode()).hexdigest()[:16]
        try:
            sides = []
            for side in ("before", "after"):
                if test not in traced[side].recordings:
                    reasons = [each for each in traced[side].dropped if each[0] == test]
                    raise Refused("half-a-pair", f"{side}: {reasons[:1]}")
                sides += rows_of(subjects[side], traced[side], test, pair, side)
            made.rows += sides
        except Refused as refused:
            made.dropped.append(dropped(after, test, refused.reason, str(refused)))


def fixed(before: Session, after: Session) -> list[str]:
    """Return the tests that pass after, and before fail in their call."""
    return sorted(
        test
        for test, phases in after.tests.items()
        if outcome_word(phases) == "passed" and outcome_word(before.tests.get(test, "")) == "failed"
    )


def _changed(path: Path, parent: str, commit: str) -> list[str]:
    text = git(path, "diff-tree", "-r", "--no-renames", "--name-only", "-z", parent, commit)
    return [os.fsdecode(name) for name in text.split(b"\0") if name]


def _is_of_tests(name: str, settings: RepositorySettings) -> bool:
    """Say whether a file is a test, or what tests lean on."""
    parts = PurePosixPath(name).parts
    return (
        is_test_file(name, settings)
        or parts[-1] == "conftest.py"
        or bool(_TEST_FOLDERS & set(parts[:-1]))
    )
