"""An artifact: an immutable directory, and the record in it that says what it is and where from.

The record, ``artifact.json``, is written last; a directory without it is no artifact.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from cluster.dag.errors import DagError
from cluster.dag.files import file_digest, files_below
from cluster.dag.stage import Kind, resolve

FORMAT = 1
RECORD = "artifact.json"
NOT_CONTENT = frozenset({RECORD, "metrics.jsonl", "statistics.json", "log.txt"})
"""Files that tell how an attempt went; not part of the content digest of a kind without its own."""
SMALL_BYTES = 1 << 20
"""Files up to this size are compared with their sha256 at every loading, larger ones when asked."""


class CorruptArtifactError(DagError):
    """A published artifact is not as it was published; says which file and how to make it again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What ``artifact.json`` says. ``path`` of an input is relative to the store."""

    step: str
    stage: str
    revision: int
    kind: str
    fingerprint: str
    attempt: str
    content_digest: str
    settings: Mapping[str, Any]
    placement: Mapping[str, Any]
    inputs: Mapping[str, Mapping[str, str]]
    snapshot: Any
    python: str | None
    code: Mapping[str, str]
    files: Mapping[str, Mapping[str, Any]]
    statistics: Mapping[str, Any]
    versions: Mapping[str, str]
    started_at: str
    finished_at: str
    wall_seconds: float
    cpu_seconds: float
    run_id: str
    pipeline_run_id: str
    host: str
    format: int = field(default=FORMAT)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A published artifact: its directory and its record."""

    path: Path
    record: Record

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(entry["bytes"] for entry in self.record.files.values())

    def as_json(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return asdict(self.record)

    def verify(self, command: str, *, everything: bool = False) -> None:
        """Compare the files with the record: sizes, and the sha256 of small files (or of all).

        Raises `CorruptArtifactError`, which ends in ``command``, what to type to make it again.
        """
        for name, entry in self.record.files.items():
            file = self.path / name
            if not file.is_file():
                raise _corrupt(file, "is gone", command)
            size = file.stat().st_size
            if size != entry["bytes"]:
                raise _corrupt(file, f"has {size} bytes instead of {entry['bytes']}", command)
            if (everything or size <= SMALL_BYTES) and file_digest(file) != entry["sha256"]:
                raise _corrupt(file, "has other bytes than were published", command)


def _corrupt(file: Path, what: str, command: str) -> CorruptArtifactError:
    return CorruptArtifactError(f"{file} {what}. Make it again: {command}")


def load(path: Path, command: str) -> Artifact:
    """Read the artifact in a directory; `CorruptArtifactError` when its record cannot be read."""
    file = path / RECORD
    try:
        value = json.loads(file.read_text())
        record = Record(**{name.name: value[name.name] for name in fields(Record)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _corrupt(file, f"cannot be read ({error!r})", command) from error
    return Artifact(path, record)


def describe_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Return {path: {"bytes", "sha256"}} of a directory's files, all forced to disk."""
    return {
        name: {
            "bytes": (folder / name).stat().st_size,
            "sha256": file_digest(folder / name, sync=True),
        }
        for name in files_below(folder)
        if name != RECORD
    }


def content_digest(kind: Kind, folder: Path, files: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the digest of what a consumer can see: the kind's own, else of names and bytes."""
    if kind.digest is not None:
        return str(resolve(kind.digest)(folder))
    lines = [f"{e['sha256']} {name}\n" for name, e in files.items() if name not in NOT_CONTENT]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
