"""``python -m stages.trace.repository PATH``: trace a repository's tests and say what came of it.

Every test is run three times in sandboxes, of which two are traced; the repository itself is only
read. The exit status is 1 when some test came to another outcome while it was traced.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import tempfile
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.text import Text

from cluster.sandbox import SandboxUnavailable
from stages.tables import TRACES, write_table
from stages.trace.repository.environment import environment_of
from stages.trace.repository.errors import Refused, RepositoryError
from stages.trace.repository.history import head_test_files
from stages.trace.repository.licence import licence_of_tree
from stages.trace.repository.rows import Row, Subject, rows_of
from stages.trace.repository.runs import Traced, outcome_word, read_folder, trace_tests
from stages.trace.repository.settings import RepositorySettings
from stages.trace.repository.shard import sessions
from stages.trace.repository.tree import tree_at
from stages.trace.settings import TraceSettings


def main(arguments: list[str] | None = None) -> int:
    """Trace the tests of a repository; print a line for each, and a summary."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    try:
        repository = _settings(asked)
    except ValueError as error:
        parser.error(str(error))
    try:
        return _trace(asked, repository, Console(highlight=False))
    except (RepositoryError, SandboxUnavailable) as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stages.trace.repository", description=__doc__)
    parser.add_argument("path", type=Path, help="a git repository, or a folder")
    parser.add_argument("--revision", default="HEAD", help="commit to trace (default: HEAD)")
    parser.add_argument("--interpreter", default="", help="Python that has what the tests import")
    parser.add_argument("--wheels", default="", help="folder of wheels to make an environment from")
    parser.add_argument("--requirements", nargs="+", default=["pytest"], help="what of them")
    parser.add_argument("--licence", default="", help="SPDX expression, where none is stated")
    parser.add_argument("--files", nargs="+", default=[], help="test files (default: all)")
    parser.add_argument("--pytest", default="", help='arguments for pytest: --pytest="-k name"')
    parser.add_argument("--quiet", action="store_true", help="the summary alone")
    parser.add_argument("--out", type=Path, help="folder to write the rows to")
    return parser


def _settings(asked: argparse.Namespace) -> RepositorySettings:
    """Return what is asked for; a folder may be called what no repository is."""
    path = asked.path.resolve()
    return RepositorySettings(
        name=re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9._-]", "-", path.name).lstrip("-") or "repository",
        path=str(path),
        licence=asked.licence,
        interpreter=asked.interpreter,
        wheels=asked.wheels,
        requirements=tuple(asked.requirements),
        pytest_arguments=tuple(shlex.split(asked.pytest)),
    )


def _trace(asked: argparse.Namespace, repository: RepositorySettings, console: Console) -> int:
    tree = tree_at(Path(repository.path), asked.revision)
    licence = licence_of_tree(tree, repository) if asked.out else ""
    environment = environment_of(repository)
    files = asked.files or head_test_files(tree.files, repository)
    rows: list[Row] = []
    counts = Counter[str]()
    with tempfile.TemporaryDirectory(prefix="repository-") as scratch:
        tree.export(Path(scratch) / "repository")
        folder = read_folder(Path(scratch) / "repository")
        subject = Subject(
            repository,
            TraceSettings(),
            tree.revision,
            licence,
            "train",
            environment.version,
            folder,
        )
        for part in sessions(files, repository.files_per_session):
            traced = trace_tests(folder, environment, repository, part)
            rows += _tell(subject, traced, counts, None if asked.quiet else console)
    if asked.out:
        write_table(asked.out, TRACES, rows)
    for name, count in counts.items():
        console.print(f"{name}: {count}")
    return 1 if counts["outcome-differs"] else 0


def _tell(
    subject: Subject, traced: Traced, counts: Counter[str], console: Console | None
) -> list[Row]:
    """Print a session's outcomes, count what came of it, and return its rows."""
    why = {test: f"{reason}: {detail}" for test, reason, detail in traced.dropped}
    rows = []
    counts["tests"] += len(traced.outcomes)
    counts["same outcome traced"] += traced.same
    for test, phases in traced.outcomes.items():
        made: list[Row] = []
        if test in traced.recordings:
            try:
                made = rows_of(subject, traced, test)
            except Refused as refused:
                why[test] = f"{refused.reason}: {refused}"
        frames = sum(len(row["frames"]) for row in made)
        counts["tests with a trace"] += bool(made)
        counts["frames"] += frames
        counts["rows"] += len(made)
        rows += made
        if console is not None:
            reason = why.get(test, "").partition("\n")[0]
            line = f"{outcome_word(phases):8}{frames or '':>8}  {test}  {reason}"
            console.print(Text(line.rstrip(), no_wrap=True, overflow="ellipsis"))
    for reason in why.values():
        counts[f"left out, {reason.partition(':')[0]}"] += 1
    for name, seconds in traced.cpu_seconds.items():
        counts[f"CPU seconds, {name}"] += round(seconds)
    if console is not None:
        for test, reason, detail in traced.dropped:
            if test not in traced.outcomes:
                console.print(Text(f"{test or 'session'}: {reason}: {detail}"))
    return rows


if __name__ == "__main__":
    sys.exit(main())
