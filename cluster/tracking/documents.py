"""The source files behind an artifact: read from the tables on its walk, with origin, revision
and licence.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cluster.tracking.evaluation import measured_on
from cluster.tracking.walk import Node

# kinds whose rows refer to documents, and what that makes of a document
_REFERRING = {"traces": "traced", "trajectories": "agent's task"}
_COLUMNS = ["sha256", "blob", "origin", "revision", "path", "licence"]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A source file that an artifact was made from; ``uses`` says in which way it entered."""

    origin: str
    revision: str
    licence: str
    path: str
    sha256: str
    blob: str
    bytes: int
    uses: tuple[str, ...]

    @property
    def swhid(self) -> str:
        """The file's Software Heritage identifier."""
        return f"swh:1:cnt:{self.blob}"


@dataclass(frozen=True, slots=True)
class Origin:
    """The files of one distribution or repository at one revision and licence."""

    origin: str
    revision: str
    licence: str
    files: int
    bytes: int


def source_files(node: Node, metric: str | None = None) -> list[SourceFile]:
    """Return the files behind a node, ordered by origin and path.

    For traces, trajectories and tasks, the documents that they refer to; for what was made from a
    corpus, its training split. With ``metric``, also the held-out documents that it was measured
    on.
    """
    uses: dict[str, set[str]] = {}
    nodes = list(node.everything())
    own = node.kind in _REFERRING or node.kind == "tasks"  # it refers to its documents itself
    for found in nodes:
        if found.kind in _REFERRING:
            for sha in _references(found.path / "train"):
                uses.setdefault(sha, set()).add(_REFERRING[found.kind])
    if own:
        keep = _own_references(node)
        uses = {sha: uses.get(sha, set()) | {node.kind} for sha in keep}
    measured = _measured(node, metric) if metric else set()
    for sha in measured:
        uses.setdefault(sha, set()).add("measured on")
    corpora = [n for n in nodes if n.kind == "corpus"] or [
        n for n in nodes if n.kind == "documents"
    ]
    return sorted(
        _rows(corpora, uses, only=set(uses) if own else None, measured=measured),
        key=lambda f: (f.origin, f.revision, f.path),
    )


def by_origin(files: Iterable[SourceFile]) -> list[Origin]:
    """Return the files added up by origin, revision and licence, the most bytes first."""
    sums: dict[tuple[str, str, str], list[int]] = {}
    for file in files:
        total = sums.setdefault((file.origin, file.revision, file.licence), [0, 0])
        total[0] += 1
        total[1] += file.bytes
    origins = [Origin(*key, *total) for key, total in sums.items()]
    return sorted(origins, key=lambda o: (-o.bytes, o.origin))


def _rows(
    nodes: list[Node], uses: dict[str, set[str]], *, only: set[str] | None, measured: set[str]
) -> list[SourceFile]:
    files: dict[str, SourceFile] = {}
    for node in nodes:
        for split in ("documents", "train", "heldout"):
            wanted = only
            if split == "heldout" and wanted is None:
                wanted = measured  # what is held out was never trained on
            for row in _documents(node.path / split, wanted):
                found = set(uses.get(row["sha256"], ()))
                if split == "train" and only is None:
                    found.add("code")
                files[row["sha256"]] = SourceFile(**row, uses=tuple(sorted(found)))
    return list(files.values())


def _documents(folder: Path, wanted: set[str] | None) -> list[dict[str, Any]]:
    rows = []
    for shard in sorted(folder.glob("*.parquet")):
        table = pq.read_table(shard, columns=[*_COLUMNS, "text"])
        size = pc.binary_length(table.column("text").cast(pa.binary()))
        table = table.drop_columns(["text"]).append_column("bytes", size)
        rows += [r for r in table.to_pylist() if wanted is None or r["sha256"] in wanted]
    return rows


def _references(folder: Path) -> set[str]:
    found: set[str] = set()
    for shard in sorted(folder.glob("*.parquet")):
        found.update(pq.read_table(shard, columns=["document"]).column("document").to_pylist())
    return found - {""}  # a generated program has no document


def _task_references(file: Path) -> set[str]:
    lines = file.read_text().splitlines() if file.exists() else []
    return {json.loads(line).get("document", "") for line in lines if line} - {""}


def _own_references(node: Node) -> set[str]:
    if node.kind == "tasks":
        return _task_references(node.path / "train.jsonl") | _task_references(
            node.path / "heldout.jsonl"
        )
    return _references(node.path / "train") | _references(node.path / "heldout")


def _measured(node: Node, metric: str) -> set[str]:
    source = node.inputs.get(measured_on(metric))
    if source is None:
        return set()
    if source.kind == "corpus":
        return {row["sha256"] for row in _documents(source.path / "heldout", None)}
    if source.kind == "tasks":
        return _task_references(source.path / "heldout.jsonl")
    return _references(source.path / "heldout")
