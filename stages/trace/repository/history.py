"""Which commits are traced besides the head: earlier ones, and those that fix something."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from stages.trace.repository.errors import RepositoryError
from stages.trace.repository.settings import RepositorySettings
from stages.trace.repository.tree import git, is_git


def is_test_file(name: str, settings: RepositorySettings) -> bool:
    """Say whether a file's name is that of a test file."""
    last = PurePosixPath(name).name
    return any(fnmatch(last, pattern) for pattern in settings.test_files)


def test_files(names: Iterable[str], settings: RepositorySettings) -> list[str]:
    """Return the test files among ``names``, sorted."""
    return sorted(name for name in names if is_test_file(name, settings))


def head_test_files(names: Iterable[str], settings: RepositorySettings) -> list[str]:
    """Return the test files of the head; raises `RepositoryError` when there are none."""
    found = test_files(names, settings)
    if not found:
        raise RepositoryError(
            f"{settings.path} has no test file: none is called {' or '.join(settings.test_files)}"
        )
    return found


def earlier_commits(settings: RepositorySettings, head: str, seed: int) -> list[str]:
    """Return up to ``tried_commits`` ancestors of ``head`` in an order that the seed gives."""
    path = Path(settings.path)
    if not settings.commits or not is_git(path):
        return []
    found = git(path, "rev-list", "--no-merges", head).decode().split()[1:]
    return _ordered(found, seed)[: settings.tried_commits]


def fix_commits(settings: RepositorySettings, head: str, seed: int) -> list[str]:
    """Return commits to look at for fixes: those given, then such as change tests and source."""
    path = Path(settings.path)
    if not is_git(path):
        return []
    given = [
        git(path, "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")
        .decode()
        .strip()
        for name in settings.fixes
    ]
    if not settings.max_fixes:
        return given
    text = git(path, "log", "--no-merges", "--name-only", "-z", "--format=%x01%H", head).decode(
        errors="replace"
    )
    found = []
    for entry in text.split("\x01")[1:]:
        name, *files = entry.replace("\n", "\0").split("\0")
        python = [file for file in files if file.endswith(".py")]
        tests = [is_test_file(file, settings) for file in python]
        if any(tests) and not all(tests) and name not in given:
            found.append(name)
    return given + _ordered(found, seed)[: settings.tried_fixes]


def _ordered(commits: Sequence[str], seed: int) -> list[str]:
    return sorted(commits, key=lambda each: hashlib.sha256(f"{seed}:{each}".encode()).hexdigest())


def parent_of(path: Path, commit: str) -> str | None:
    """Return the first parent of a commit; None for the first commit of all."""
    found = git(path, "rev-list", "--parents", "-n", "1", commit).decode().split()
    return found[1] if len(found) > 1 else None
