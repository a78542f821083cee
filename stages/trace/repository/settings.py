"""Settings of a repository whose tests are traced."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class RepositorySettings:
    """A repository, or an unpacked source distribution, and what is traced of it.

    CWM traced the tests of 21,000 repository images, and of some at most 4 successful ones of up to
    40 earlier commits; its budgets are those of its other traces: 10,000 line events, 1 MB.
    """

    # what its rows are called by: owner-name, or a distribution's name
    name: str
    # the folder: a git repository (what is committed counts, not the working tree), or plain files.
    # What lies there is part of the identity by its commits or digests (see snapshot.py)
    path: str
    # SPDX expression; "": what its metadata says, or an error
    licence: str = ""

    # its environment: an interpreter (path) with everything that its tests import, pytest among it;
    # "": the running one. With ``wheels``, a folder, a fresh environment on that interpreter, into
    # which ``requirements`` are installed from there and nowhere else
    interpreter: str = ""
    wheels: str = ""
    requirements: tuple[str, ...] = ("pytest",)
    # folders of the repository that its modules are imported from; those that are there count
    import_roots: tuple[str, ...] = ("src", ".")

    # file names of tests, and further arguments for pytest
    test_files: tuple[str, ...] = ("test_*.py", "*_test.py")
    pytest_arguments: tuple[str, ...] = ()
    # test files that one pytest session runs, which is one shard
    files_per_session: int = 20

    # earlier commits: how many successful ones (some test passes and is traced), of how many tried
    commits: int = 0
    tried_commits: int = 40
    # commits that fix something: given, and how many to look for, in how many that change both
    # tests and source
    fixes: tuple[str, ...] = ()
    max_fixes: int = 0
    tried_fixes: int = 40

    # budgets of a test's trace: frames, bytes of text, characters of one value, frames of calls
    # within calls (0: any depth), calls of Python functions
    events: int = 10_000
    bytes: int = 1_000_000
    value_chars: int = 100
    depth: int = 0
    calls: int = 2_000_000
    # characters of a context; traces that need more are dropped
    max_context_chars: int = 40_000

    # containment, far beyond the budgets: seconds of a test and of a session, memory in bytes
    test_seconds: int = 60
    session_seconds: int = 1_800
    memory_bytes: int = 4 << 30

    def __post_init__(self) -> None:
        """Check the name, that there is something to run, and that budgets can be met."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name={self.name!r}: letters, digits, '.', '_' and '-' are needed")
        for name in ("path", "test_files", "import_roots"):
            if not getattr(self, name):
                raise ValueError(f"{name} of repository {self.name} is empty")
        if not 0 <= self.commits <= self.tried_commits:
            raise ValueError(f"commits={self.commits}: from 0 to tried_commits")
        if not 0 <= self.max_fixes <= self.tried_fixes:
            raise ValueError(f"max_fixes={self.max_fixes}: from 0 to tried_fixes")
        budgets = ("events", "bytes", "calls", "max_context_chars", "files_per_session")
        for name in (*budgets, "test_seconds", "session_seconds", "memory_bytes"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)}: above 0")
        if self.value_chars < 10 or self.depth < 0:
            raise ValueError("value_chars: 10 or more; depth: 0 or more")
