"""A repository's tests as shards: those of its head in sessions, its history, its fixes."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stages.trace.counts import drop
from stages.trace.repository.environment import Environment, environment_of
from stages.trace.repository.errors import RepositoryError
from stages.trace.repository.fixes import trace_fixes
from stages.trace.repository.history import (
    earlier_commits,
    fix_commits,
    head_test_files,
    test_files,
)
from stages.trace.repository.licence import licence_of_tree
from stages.trace.repository.rows import Subject, add
from stages.trace.repository.runs import Folder, read_folder, trace_tests
from stages.trace.repository.settings import RepositorySettings
from stages.trace.repository.tree import Tree, tree_at
from stages.trace.rows import split_of
from stages.trace.settings import TracePlacement, TraceSettings
from stages.trace.shards import Made, digest

_LOG = logging.getLogger(__name__)
_WHERE = ("path", "interpreter", "wheels")


@dataclass(frozen=True, slots=True)
class RepositoryShard:
    """Work on a repository: test files of ``revisions`` (the first ``most`` that come to traces).

    ``files`` are the test files of a session; () for all of a revision. With ``fixes`` the
    revisions are commits that may fix something, and their pairs of traces are wanted.
    """

    repository: RepositorySettings
    settings: TraceSettings
    licence: str
    revisions: tuple[str, ...]
    most: int
    files: tuple[str, ...] = ()
    fixes: bool = False

    @property
    def name(self) -> str:
        """The repository, and a digest of what of it is traced how."""
        settings = {k: v for k, v in asdict(self.repository).items() if k not in _WHERE}
        what = [settings, self.settings.seed, self.revisions, self.most, self.files, self.fixes]
        return f"repository-{self.repository.name}-{digest(what)}"

    def trace(self) -> Made:
        """Export, run and trace; raises `RepositoryError` when that cannot begin."""
        environment = environment_of(self.repository)
        made = Made()
        if self.fixes:
            trace_fixes(self, environment, made)
            return made
        successful = 0
        for revision in self.revisions:
            if successful == self.most:
                break
            tree = tree_at(Path(self.repository.path), revision)
            if tree.revision != revision:
                raise RepositoryError(
                    f"{self.repository.path} is another one than when the shard was made"
                )
            before = len(made.rows)
            if self.has_its_licence(tree, made):
                self._trace_tree(tree, environment, made)
            successful += len(made.rows) > before
            _LOG.info("%s %s: %d traces", self.repository.name, revision[:12], len(made.rows))
        return made

    def has_its_licence(self, tree: Tree, made: Made) -> bool:
        """Say whether a revision is under the head's licence, and drop it when it is not.

        What the settings state is stated of every revision.
        """
        try:
            said = licence_of_tree(tree, self.repository)
        except RepositoryError as error:
            said = str(error)
        if said != self.licence:
            origin = self.repository.name
            key, detail = f"{origin}@{tree.revision[:19]}:", f"{said}; the head: {self.licence}"
            made.dropped.append(drop(key, origin, "", "licence", detail))
        return said == self.licence

    def _trace_tree(self, tree: Tree, environment: Environment, made: Made) -> None:
        files = self.files or tuple(test_files(tree.files, self.repository))
        with tempfile.TemporaryDirectory(prefix="repository-") as scratch:
            folder = Path(scratch) / "repository"
            tree.export(folder)
            shown = read_folder(folder)
            for part in sessions(files, self.repository.files_per_session):
                traced = trace_tests(shown, environment, self.repository, part)
                subject = self.subject(tree.revision, environment, shown)
                add(subject, traced, made)

    def subject(self, revision: str, environment: Environment, folder: Folder) -> Subject:
        """Return what the rows of a folder have in common."""
        return Subject(
            self.repository,
            self.settings,
            revision,
            self.licence,
            split_of(self.repository.name, self.settings),
            environment.version,
            folder,
        )


def sessions(files: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    """Yield the test files session by session."""
    for start in range(0, len(files), size):
        yield tuple(files[start : start + size])


def repository_shards(
    settings: TraceSettings, placement: TracePlacement
) -> Iterator[RepositoryShard]:
    """Yield the shards of ``settings.repositories``; reads their names, runs nothing.

    Raises `RepositoryError` when one cannot be read, has no tests or states no licence.
    ``placement`` has no part in it: which tests share a session is part of what they do.
    """
    for repository in settings.repositories:
        tree = tree_at(Path(repository.path))
        licence = licence_of_tree(tree, repository)
        seed = settings.seed
        files = head_test_files(tree.files, repository)
        for part in sessions(files, repository.files_per_session):
            yield RepositoryShard(repository, settings, licence, (tree.revision,), 1, part)
        if commits := earlier_commits(repository, tree.revision, seed):
            yield RepositoryShard(repository, settings, licence, tuple(commits), repository.commits)
        if fixes := fix_commits(repository, tree.revision, seed):
            most = len(repository.fixes) + repository.max_fixes
            yield RepositoryShard(repository, settings, licence, tuple(fixes), most, fixes=True)
