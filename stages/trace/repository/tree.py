"""A repository's files at one revision: listed and written to a folder, the original untouched.

Of a git repository only its objects are read (``git ls-tree``, ``git cat-file``): no checkout, no
hooks, no filters, no index, so that neither the user's working tree nor their configuration counts.
A folder that is none is taken as it is; its revision is a digest of its files.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath

from stages.trace.repository.errors import RepositoryError

_NOT_SOURCE = frozenset(
    {".git", ".hg", ".hypothesis", ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache", ".tox"}
    | {".venv", "__pycache__", "node_modules", "venv"}
)
_LINK = "120000"
_NOTHING_RUNS = (
    *("-c", "core.fsmonitor=false"),
    *("-c", "log.showSignature=false"),
    *("-c", "protocol.allow=never"),  # a partial clone fetches what it lacks, else
)
"""A repository's own configuration may name programs for these."""
_AS_COMMITTED = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",  # else an id does not say what is read
}


@dataclass(frozen=True, slots=True)
class File:
    """A file of a tree: git's mode, and the id of its content (blob sha1, or sha256 of a folder's
    file).
    """

    mode: str
    content: str


@dataclass(frozen=True, slots=True)
class Tree:
    """A repository at a revision."""

    path: Path
    revision: str
    """A commit id; of a plain folder "sha256:" and the digest of its files."""
    files: Mapping[str, File]

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the contents of the files among ``names`` that are there."""
        wanted = [name for name in names if name in self.files]
        if self.revision.startswith("sha256:"):
            return {name: (self.path / name).read_bytes() for name in wanted}
        contents = _blobs(self.path, [self.files[name].content for name in wanted])
        return dict(zip(wanted, contents, strict=True))

    def export(self, folder: Path, names: Iterable[str] | None = None) -> None:
        """Write the files, or those of ``names``, under ``folder``; links last, and inside only.

        Nothing is written through a link, which a forged tree or another export may have put there.
        """
        found = self.read(sorted(self.files if names is None else names))
        root = Path(os.path.realpath(folder))
        for name in sorted(found, key=lambda each: self.files[each].mode == _LINK):
            target = root / name
            if os.path.realpath(target.parent) != str(target.parent):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            if self.files[name].mode != _LINK:
                target.write_bytes(found[name])
                target.chmod(0o755 if self.files[name].mode == "100755" else 0o644)
            elif _stays_inside(name, os.fsdecode(found[name])):
                target.symlink_to(os.fsdecode(found[name]))


def is_git(path: Path) -> bool:
    """Say whether ``path`` is a git repository, a bare one included."""
    return (path / ".git").exists() or ((path / "objects").is_dir() and (path / "HEAD").is_file())


def git(path: Path, *arguments: str, given: bytes = b"") -> bytes:
    """Return what a git command that only reads prints; raises `RepositoryError` when it fails."""
    program = shutil.which("git")
    if program is None:
        raise RepositoryError("git is not installed, and a git repository is to be traced")
    command = [program, "-C", str(path), *_NOTHING_RUNS, *arguments]
    # GIT_DIR and the like, as git sets them for its hooks, would name another repository
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment = {**own, **_AS_COMMITTED}
    run = subprocess.run(command, input=given, capture_output=True, env=environment, check=False)
    if run.returncode:
        said = run.stderr.decode(errors="replace").strip()[-500:]
        raise RepositoryError(f"{path}: git {arguments[0]} failed: {said}")
    return run.stdout


def tree_at(path: Path, revision: str = "HEAD") -> Tree:
    """Return a repository's tree at ``revision`` (of a plain folder: as it is).

    Raises `RepositoryError` when there is no such folder or revision.
    """
    if not path.is_dir():
        raise RepositoryError(f"{path} is no folder")
    if not is_git(path):
        return _folder(path)
    commit = git(path, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    name = commit.decode().strip()
    files = {}
    for entry in git(path, "ls-tree", "-r", "-z", "--full-tree", name).split(b"\0"):
        about, _, file = entry.partition(b"\t")
        if not about:
            continue
        mode, kind, content = about.decode().split()
        named = os.fsdecode(file)
        if kind == "blob" and _is_safe(named):  # a submodule is another repository
            files[named] = File(mode, content)
    return Tree(path, name, files)


def _folder(path: Path) -> Tree:
    files = {}
    for folder, inner, names in os.walk(path):
        inner[:] = sorted(set(inner) - _NOT_SOURCE)
        for name in sorted(names):
            file = Path(folder, name)
            if file.is_file() and not file.is_symlink() and not name.endswith((".pyc", ".pyo")):
                mode = "100755" if os.access(file, os.X_OK) else "100644"
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                files[file.relative_to(path).as_posix()] = File(mode, content)
    text = "".join(f"{each.mode} {each.content} {name}\n" for name, each in sorted(files.items()))
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    return Tree(path, f"sha256:{digest}", files)


def _blobs(path: Path, names: list[str]) -> list[bytes]:
    """Return the contents of blobs, in their order."""
    if not names:
        return []
    text = git(path, "cat-file", "--batch", given="".join(f"{n}\n" for n in names).encode())
    found, place = [], 0
    for name in names:
        end = text.index(b"\n", place)
        head = text[place:end].split()
        if len(head) != 3:
            raise RepositoryError(f"{path}: object {name} is missing; fetch it first")
        size = int(head[2])
        found.append(text[end + 1 : end + 1 + size])
        place = end + 2 + size
    return found


def _is_safe(name: str) -> bool:
    """Refuse what a forged tree may hold: a way out of the folder, or into git's own."""
    parts = PurePosixPath(name).parts
    return not name.startswith("/") and not {"..", ".git"} & set(parts)


def _stays_inside(name: str, target: str) -> bool:
    """Say whether a link at ``name`` leads to a place in the same tree.

    A ".." behind a name is refused: the name may be a link, and then it leads elsewhere.
    """
    parts = PurePosixPath(target).parts
    if target.startswith("/") or ".." in parts[len(list(takewhile("..".__eq__, parts))) :]:
        return False
    place = os.path.normpath(PurePosixPath(name).parent / target)
    return place != ".." and not place.startswith("../")
