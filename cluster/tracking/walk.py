"""Walking from an artifact to what it was made from, by the ``artifact.json`` records alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECORD = "artifact.json"
MIN_PREFIX = (
    6  # characters of a fingerprint, attempt, digest or run id that may stand for the whole
)


class LineageError(LookupError):
    """What was asked for is not in the store, or is ambiguous; says what there is."""


@dataclass(frozen=True, slots=True)
class Node:
    """An artifact on the walk: its directory, its record and the nodes that its inputs are, by
    name.
    """

    path: Path
    record: dict[str, Any]
    inputs: dict[str, Node] = field(default_factory=dict)

    @property
    def step(self) -> str:
        """The step that made it."""
        return str(self.record["step"])

    @property
    def kind(self) -> str:
        """The kind of artifact it is."""
        return str(self.record["kind"])

    def everything(self) -> Iterator[Node]:
        """Yield this node and all that it was made from, each once, nearest first."""
        seen: set[Path] = set()
        queue = [self]
        while queue:
            node = queue.pop(0)
            if node.path not in seen:
                seen.add(node.path)
                yield node
                queue.extend(node.inputs.values())


def imported(node: Node) -> dict[str, str] | None:
    """Return the origin and licence of what came from outside (``--import``), else None."""
    statistics = node.record.get("statistics", {})
    names = ("origin", "licence")
    return {n: str(statistics[n]) for n in names} if statistics.keys() >= set(names) else None


class Store:
    """The published artifacts of a store: ``<stage>/<fingerprint>/<attempt>/artifact.json``.

    A link beside them, ``current``, names the newest attempt; it is no artifact of its own.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        if not self.root.is_dir():
            raise LineageError(f"there is no store at {self.root}; name it with --store")
        self.records: dict[Path, dict[str, Any]] = {
            file.parent: json.loads(file.read_text())
            for file in sorted(self.root.glob(f"*/*/*/{RECORD}"))
            if not file.parent.name.endswith(".partial") and not file.parent.is_symlink()
        }

    def walk(self, path: Path) -> Node:
        """Return the node of an artifact, with everything below it; a shared input is one
        object.
        """
        return self._walk(path.resolve(), {})

    def _walk(self, path: Path, made: dict[Path, Node]) -> Node:
        if path not in made:
            record = self.records.get(path)
            if record is None:
                raise LineageError(f"{path} has no {RECORD}: the artifact was deleted or moved")
            inputs = {
                name: self._walk(self.root / entry["path"], made)
                for name, entry in record.get("inputs", {}).items()
            }
            made[path] = Node(path, record, inputs)
        return made[path]

    def newest(self, paths: list[Path]) -> Path:
        """Return the artifact that was finished last."""
        return max(paths, key=lambda path: str(self.records[path].get("finished_at", "")))

    def by_path(self, target: str) -> Path | None:
        """Return the artifact that a path lies in: itself, or a file of it."""
        for base in (Path.cwd(), self.root):
            place = (base / target).resolve()
            for candidate in (place, *place.parents):
                if candidate in self.records:
                    return candidate
        return None

    def by_step(self, target: str) -> Path | None:
        """Return the newest artifact of a step, or of a stage."""
        for name in ("step", "stage"):
            found = [p for p, record in self.records.items() if record.get(name) == target]
            if found:
                return self.newest(found)
        return None

    def by_prefix(self, target: str) -> Path | None:
        """Return the artifact whose fingerprint, attempt, digest or run id begins with ``target``.

        Several attempts of one step are one answer, the newest. Raises `LineageError` when
        different steps match.
        """
        if len(target) < MIN_PREFIX:
            return None
        names = ("fingerprint", "attempt", "content_digest", "run_id")
        found = [
            path
            for path, record in self.records.items()
            if any(str(record.get(name) or "").startswith(target) for name in names)
        ]
        steps = sorted({str(self.records[path]["fingerprint"]) for path in found})
        if len(steps) > 1:
            listed = ", ".join(f"{self.records[p]['step']} ({p})" for p in found)
            raise LineageError(f"{target!r} begins the name of several artifacts: {listed}")
        return self.newest(found) if found else None

    def by_metric(self, target: str) -> Path | None:
        """Return the newest evaluation whose results have a metric of this name."""
        found = [p for p, metrics in self.evaluations().items() if target in metrics]
        return self.newest(found) if found else None

    def evaluations(self) -> dict[Path, dict[str, dict[str, Any]]]:
        """Return each evaluation's metrics by name."""
        return {
            path: {m["name"]: m for m in json.loads((path / "results.json").read_text())["metrics"]}
            for path, record in self.records.items()
            if record["kind"] == "evaluation"
        }
