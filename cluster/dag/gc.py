"""What the store holds and what can go: all that no latest artifact of any preset reaches.

Kept are, for every pipeline and preset that ran in the store, the latest artifact of each step,
and through their recorded inputs everything those were made from. The rest are superseded
artifacts, attempts that were killed and not resumed, and their scratch.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.dag.errors import DagError
from cluster.dag.files import folder_bytes
from cluster.dag.lease import holder, read_lease
from cluster.dag.store import PARTIAL, StepFolder, Store


class StoreInUseError(DagError):
    """A run is at work in the store; says which step and process. Nothing is removed meanwhile."""


@dataclass(frozen=True, slots=True)
class Item:
    """A directory of the store: what it is to gc, its size in bytes, who keeps it."""

    path: Path
    size: int
    kept_by: tuple[str, ...]


def survey(store: Store) -> list[Item]:
    """Return every artifact and every unfinished attempt, with the presets that keep it."""
    kept = _reached(store)
    items = []
    for folder in store.folders():
        for path in sorted(p for p in folder.path.iterdir() if p.is_dir() and not p.is_symlink()):
            if path.suffix == PARTIAL or path.name == "scratch":
                owners: tuple[str, ...] = ("resumable",) if _is_resumable(folder) else ()
            else:
                owners = tuple(sorted(kept.get(store.relative(path), ())))
            items.append(Item(path, folder_bytes(path), owners))
    return items


def collect(store: Store) -> list[Item]:
    """Remove what nothing keeps and return it; raises `StoreInUseError` while a step runs."""
    for folder in store.folders():
        _refuse_if_at_work(folder.path)
    garbage = [item for item in survey(store) if not item.kept_by]
    for item in garbage:
        _refuse_if_at_work(item.path.parent)  # a run may have begun meanwhile
        shutil.rmtree(item.path)
        _tidy(item.path.parent)
    return garbage


def _refuse_if_at_work(folder: Path) -> None:
    lease = read_lease(folder)
    if lease is not None and not holder(lease).is_dead():
        who = holder(lease)
        raise StoreInUseError(f"{lease['step']} is at work (pid {who.pid} on {who.host})")


def _reached(store: Store) -> dict[str, set[str]]:
    """Return {artifact's path in the store: presets that reach it}."""
    reached: dict[str, set[str]] = {}
    for preset in store.presets():
        todo = list(store.latest(preset).items())
        while todo:
            step, path = todo.pop()
            owners = reached.setdefault(path, set())
            if preset in owners or not (store.path / path).exists():
                continue
            owners.add(preset)
            record = store.load(path, step).record
            todo += [(source["step"], source["path"]) for source in record.inputs.values()]
    return reached


def _is_resumable(folder: StepFolder) -> bool:
    """Whether an attempt here would be resumed: it ended early and nothing was published since."""
    return folder.unfinished() is not None and not folder.attempts()


def _tidy(folder: Path) -> None:
    """Remove what is left of an identity's folder when no attempt is in it; repair its pointer."""
    attempts = [p for p in folder.iterdir() if p.is_dir() and not p.is_symlink()]
    if not attempts:
        shutil.rmtree(folder)
        return
    link = folder / "current"
    if link.is_symlink() and not link.exists():
        link.unlink()  # the newest that is left then counts


def describe(items: list[Item]) -> Iterator[str]:
    """Yield the lines of a list: size, path, who keeps it."""
    for item in items:
        yield f"{item.size / 1e6:10.1f} MB  {item.path}  {', '.join(item.kept_by) or '-'}"
