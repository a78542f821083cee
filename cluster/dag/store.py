"""The store: where artifacts lie, and how one becomes visible.

    <store>/<stage>/<fingerprint>/
        1-a3f2c1/           an artifact (its directory carries the attempt's name)
        2-9e01b7.partial/   an attempt at work, or killed
        current -> 1-a3f2c1 the one that consumers take
        scratch/            what a killed attempt may go on from
        attempt.json        the attempt at work: its name and the code it runs
        accepted.json       code that was accepted although it differs (--accept-drift)
        lease.json          who is at work
    <store>/pipelines/<pipeline>.<preset>/
        latest.json         the latest artifact of each step: what gc keeps
        config.json         the settings of the last run, resolved

Files are forced to disk, the record is written last, one rename makes the artifact visible, and
``current`` is replaced atomically: at any moment of a kill the store is whole.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cluster.dag.artifact import RECORD, Artifact, Record, load
from cluster.dag.errors import DagError
from cluster.dag.files import replace_link, sync_folder, write_json

PARTIAL = ".partial"


class StoreNotWritableError(DagError):
    """Nothing can be written into the store; says where, why and what to set."""


class Store:
    """A directory that holds artifacts; it need not be there yet.

    ``program`` is what a person types to run the pipeline. Raises `StoreNotWritableError` when
    the path, or what it lies in, is something else than a directory or may not be read.
    """

    def __init__(self, path: Path, program: str = "python pipelines/full.py") -> None:
        self.path = path.absolute()
        self.program = program
        try:
            there = next(p for p in (self.path, *self.path.parents) if p.exists())
        except PermissionError as error:
            raise _not_writable(self.path, str(error)) from error
        if not there.is_dir():
            raise _not_writable(self.path, f"{there} is not a directory")
        if not os.access(there, os.R_OK | os.X_OK):
            raise _not_writable(self.path, f"{there} may not be read")

    def prepare(self) -> None:
        """Make the directory and try to write in it; raises `StoreNotWritableError`."""
        probe = self.path / f".probe-{secrets.token_hex(4)}"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe.write_text("")
            probe.unlink()
        except OSError as error:
            raise _not_writable(self.path, error.strerror or str(error)) from error

    def folder(self, stage: str, fingerprint: str) -> StepFolder:
        """Return the folder of one identity."""
        return StepFolder(self, self.path / stage / fingerprint)

    def folders(self) -> Iterator[StepFolder]:
        """Yield the folder of every identity in the store."""
        for folder in sorted(self.path.glob("*/*")):
            if folder.is_dir() and len(folder.name) == 64:
                yield StepFolder(self, folder)

    def load(self, path: Path | str, step: str) -> Artifact:
        """Read the artifact at a path (absolute or relative to the store)."""
        return load(self.path / path, self.rerun_command(step))

    def rerun_command(self, step: str) -> str:
        """Return what to type to make one step again."""
        return f"{self.program} --only {step}"

    def latest(self, preset: str) -> dict[str, str]:
        """Return {step: path in the store} of the latest artifacts of a ``pipeline.preset``."""
        try:
            file = self.path / "pipelines" / preset / "latest.json"
            value: dict[str, str] = json.loads(file.read_text())
        except FileNotFoundError:
            return {}
        return value

    def set_latest(self, preset: str, artifacts: Mapping[str, Artifact]) -> None:
        """Note the latest artifact of some steps; the others stay as they are."""
        known = self.latest(preset)
        new = {step: self.relative(artifact.path) for step, artifact in artifacts.items()}
        if any(known.get(step) != path for step, path in new.items()):
            write_json(self.run_folder(preset) / "latest.json", {**known, **new})

    def presets(self) -> list[str]:
        """Return the pipelines that ran in this store, as ``pipeline.preset``."""
        return sorted(file.parent.name for file in self.path.glob("pipelines/*/latest.json"))

    def relative(self, path: Path) -> str:
        """Return a path as seen from the store."""
        return str(path.relative_to(self.path))

    def run_folder(self, preset: str) -> Path:
        """Return the folder for records of a pipeline's runs; makes it."""
        folder = self.path / "pipelines" / preset
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _not_writable(path: Path, why: str) -> StoreNotWritableError:
    return StoreNotWritableError(
        f"cannot write into the store {path}: {why}. Name another with --store or CWM_STORE"
    )


class StepFolder:
    """The folder of one identity: its attempts, the pointer to the current one, its scratch."""

    def __init__(self, store: Store, path: Path) -> None:
        self.store = store
        self.path = path

    @property
    def scratch(self) -> Path:
        """What outlives a killed attempt."""
        return self.path / "scratch"

    def current(self, step: str) -> Artifact | None:
        """Return the current artifact, None when there is none.

        A kill between the rename and the pointer leaves an artifact without a pointer: the newest
        complete one then counts.
        """
        link = self.path / "current"
        if link.is_symlink():
            return self.store.load(link.resolve(), step)
        complete = [path for path in self.attempts() if (path / RECORD).exists()]
        return self.store.load(complete[-1], step) if complete else None

    def attempts(self) -> list[Path]:
        """Return the directories of the published attempts, oldest first."""
        found = [p for p in self.path.glob("*-*") if p.is_dir() and p.suffix != PARTIAL]
        return sorted(found, key=lambda path: int(path.name.partition("-")[0]))

    def unfinished(self) -> dict[str, Any] | None:
        """Return {"attempt", "code"} of an attempt that began and was not published."""
        try:
            value: dict[str, Any] = json.loads((self.path / "attempt.json").read_text())
        except FileNotFoundError:
            return None
        # A kill after the rename and before this file went: that attempt is published.
        return None if (self.path / value["attempt"]).exists() else value

    def begin(self, code: Mapping[str, str]) -> tuple[str, Path, bool]:
        """Begin an attempt, or go on with an unfinished one of the same code.

        Returns its name, its output directory (empty but for metrics.jsonl of an unfinished one)
        and whether it goes on. Only the holder of the lease may call this.
        """
        unfinished = self.unfinished()
        if unfinished is not None and unfinished["code"] == dict(code):
            attempt, resumed = str(unfinished["attempt"]), True
        else:
            numbers = [int(p.name.partition("-")[0]) for p in self.path.glob("*-*")]
            attempt, resumed = f"{max(numbers, default=0) + 1}-{secrets.token_hex(3)}", False
            shutil.rmtree(self.scratch, ignore_errors=True)
        output = self.path / f"{attempt}{PARTIAL}"
        for old in self.path.glob(f"*{PARTIAL}"):
            _clear(old, keep="metrics.jsonl" if old == output else "")
        output.mkdir(exist_ok=True)
        self.scratch.mkdir(exist_ok=True)
        if not resumed:
            write_json(self.path / "attempt.json", {"attempt": attempt, "code": dict(code)})
        return attempt, output, resumed

    def publish(self, output: Path, record: Record) -> Artifact:
        """Make an attempt's output the current artifact. All its files are already on disk."""
        write_json(output / RECORD, asdict(record))
        for folder in sorted(p for p in output.rglob("*") if p.is_dir()):
            sync_folder(folder)
        target = self.path / record.attempt
        output.rename(target)
        sync_folder(self.path)
        replace_link(self.path / "current", record.attempt)
        (self.path / "attempt.json").unlink(missing_ok=True)
        (self.path / "accepted.json").unlink(missing_ok=True)
        shutil.rmtree(self.scratch, ignore_errors=True)
        return Artifact(target, record)

    def accepted_code(self) -> dict[str, str] | None:
        """Return the code that counts as the one that made the current artifact, if any was."""
        try:
            value: dict[str, str] = json.loads((self.path / "accepted.json").read_text())
        except FileNotFoundError:
            return None
        return value

    def accept_code(self, code: Mapping[str, str]) -> None:
        """Let the current artifact count as made by ``code``."""
        write_json(self.path / "accepted.json", dict(code))


def _clear(folder: Path, keep: str) -> None:
    """Remove what a killed attempt left, all of it or all but one file."""
    if not keep:
        shutil.rmtree(folder)
        return
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != keep:
            entry.unlink()
