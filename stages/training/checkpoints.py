"""Checkpoints to resume from: written behind training's back, whole or not there, kept by rule.

All ranks write their files into one folder that they share; rank 0 makes it a checkpoint::

    checkpoints/
        owner                      who may publish: the last attempt that started
        step000000100.3f9c.partial     every rank's files, then rank-00000.json … of each
        step000000050/             by one rename; manifest.json names its files with their sizes
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch.distributed as dist

from cluster.devices import device

FOLDER = "checkpoints"
"""Name in a step's scratch directory, which is the step's own: whoever runs the step again under
the same one goes on from there."""
MANIFEST = "manifest.json"
OWNER = "owner"
PARTIAL, REMOVED = ".partial", ".removed"
POLL = 0.05
"""Seconds between looks for the other ranks' files."""

log = logging.getLogger(__name__)


class CheckpointWriteError(RuntimeError):
    """A checkpoint could not be written; says what room it needs. Earlier ones are as they were."""


class TornCheckpointError(ValueError):
    """A folder is no whole checkpoint; says what is missing."""


class OtherModelError(ValueError):
    """A checkpoint holds a model of another shape or precision than is to be trained; says what
    differs."""


class Part(Protocol):
    """A file of a checkpoint that is yet to be written."""

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        ...

    def write(self, file: Path) -> None:
        """Write it."""
        ...


@dataclass(frozen=True, slots=True)
class Content:
    """A small file, as it was when the checkpoint was asked for."""

    content: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content)

    def write(self, file: Path) -> None:
        """Write it."""
        file.write_bytes(self.content)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A whole checkpoint."""

    path: Path
    step: int
    world_size: int
    """Ranks that wrote it."""
    files: dict[str, int]
    """Sizes by path."""
    facts: dict[str, Any]
    """What the writer noted, a JSON object."""

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Read the manifest. Raises `TornCheckpointError` unless all files are there in full."""
        try:
            found = cls(path=path, **json.loads((path / MANIFEST).read_text()))
        except (FileNotFoundError, NotADirectoryError):
            raise TornCheckpointError(f"{path} has no {MANIFEST}") from None
        except (json.JSONDecodeError, TypeError) as error:
            raise TornCheckpointError(f"{path / MANIFEST} is damaged: {error}") from None
        for name, size in found.files.items():
            file = path / name
            if not file.is_file() or file.stat().st_size != size:
                there = f"{file.stat().st_size:,} bytes" if file.is_file() else "not there"
                raise TornCheckpointError(f"{file} is {there}, but was {size:,} bytes")
        return found

    def link(self, target: Path, below: str) -> None:
        """Make ``target`` a checkpoint of the files in folder ``below``: the same files, no copies.

        Where the two are on different file systems they are copied.
        """
        shutil.rmtree(target, ignore_errors=True)
        files = {name: size for name, size in self.files.items() if name.startswith(f"{below}/")}
        for name in files:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            _link(self.path / name, target / name)
        _write_manifest(target, Checkpoint(target, self.step, self.world_size, files, self.facts))


def whole_checkpoints(folder: Path) -> Iterator[Checkpoint]:
    """Yield the whole checkpoints in ``folder``, the newest first; logs why others are not."""
    for path in sorted(folder.glob("step*"), reverse=True):
        if re.fullmatch(r"step\d+", path.name):
            try:
                yield Checkpoint.read(path)
            except TornCheckpointError as error:
                log.warning("not used: the checkpoint after step %d: %s", _step_of(path), error)


class Checkpoints:
    """The checkpoints in ``folder``, one object per rank: the last ``keep`` and every one whose
    step is a multiple of ``keep_every`` (0: none) stay.

    Files are written by a thread; making one costs nothing. `latest` comes before `save`.
    """

    def __init__(self, folder: Path, *, keep: int = 2, keep_every: int = 0) -> None:
        self.folder = folder
        self.last: Checkpoint | None = None
        """The last that was found or, on rank 0, published."""
        self._keep, self._keep_every = keep, keep_every
        self._owner = ""
        self._written: _Task | None = None
        self._published: _Task | None = None
        self._abandoned = threading.Event()

    def latest(self) -> Checkpoint | None:
        """Take the folder over and return the newest whole checkpoint; called by all ranks at once.

        What attempts that died had begun is removed; one that still lives can publish no more.
        Raises `CheckpointWriteError` without room for even a few bytes.
        """
        chosen: list[Any] = [None, None]
        if dist.get_rank() == 0:
            owner = secrets.token_hex(4)
            self._take_over(owner)
            chosen = [owner, next(whole_checkpoints(self.folder), None)]
        if dist.get_world_size() > 1:
            dist.broadcast_object_list(chosen, src=0, device=device())
        self._owner, self.last = chosen
        return self.last

    def _take_over(self, owner: str) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(self.folder / OWNER, owner)
        except OSError as error:
            raise self._no_room("the name of this attempt", len(owner), error) from error
        for path in self.folder.glob("step*"):
            if path.suffix in (PARTIAL, REMOVED):
                shutil.rmtree(path, ignore_errors=True)

    def save(self, step: int, parts: Mapping[str, Part], facts: Mapping[str, Any]) -> None:
        """Begin to write ``parts`` (by path) as the checkpoint after ``step`` steps; called by all
        ranks, which have different paths.

        ``facts`` (a JSON object, rank 0's counts) go into the manifest. Waits for the checkpoint
        before, and raises what `wait` raises.
        """
        self.wait()
        partial = self.folder / f"step{step:09d}.{self._owner}{PARTIAL}"
        todo = dict(parts)
        self._written = _Task(lambda: self._write(partial, todo), "checkpoint")
        if dist.get_rank() == 0:
            world, noted = dist.get_world_size(), dict(facts)
            self._published = _Task(
                lambda: self._publish(partial, step, world, noted), "checkpoint's manifest"
            )

    def wait(self) -> None:
        """Wait until the checkpoint that was begun is there; called by all ranks.

        Raises `CheckpointWriteError` on all ranks when one of them failed.
        """
        for task in (self._written, self._published):
            error = task.wait() if task else None
            if message := _first(str(error) if error else None):
                self._abandoned.set()
                self._written = self._published = None
                if dist.get_rank() == 0:
                    for left in self.folder.glob(f"*.{self._owner}{PARTIAL}"):
                        shutil.rmtree(left, ignore_errors=True)
                raise CheckpointWriteError(message) from error
        self._written = self._published = None

    def _write(self, partial: Path, parts: dict[str, Part]) -> None:
        size = sum(part.size for part in parts.values())
        try:
            sizes = {}
            while parts:
                name, part = parts.popitem()  # so that its memory is free again
                file = partial / name
                file.parent.mkdir(parents=True, exist_ok=True)
                part.write(file)
                sizes[name] = _sync(file)
            _write(partial / f"rank-{dist.get_rank():05d}.json", json.dumps(sizes))
        except (OSError, RuntimeError) as error:  # RuntimeError: torch's for a full disk
            raise self._no_room(f"rank {dist.get_rank()}'s part", size, error) from error

    def _publish(self, partial: Path, step: int, world: int, facts: dict[str, Any]) -> None:
        """Make ``partial`` the checkpoint once all ranks' files are there."""
        listed = [partial / f"rank-{rank:05d}.json" for rank in range(world)]
        while not all(file.exists() for file in listed):
            if self._abandoned.wait(POLL):
                return
        target = partial.with_suffix("").with_suffix("")
        if (self.folder / OWNER).read_text() != self._owner:
            raise CheckpointWriteError(
                f"step {step}: another attempt has taken over the checkpoints in {self.folder}"
            )
        try:
            files: dict[str, int] = {}
            for file in listed:
                files |= json.loads(file.read_text())
                file.unlink()
            made = Checkpoint(target, step, world, dict(sorted(files.items())), facts)
            _write_manifest(partial, made)
            if target.exists():  # torn, else it would have been resumed from
                _remove(target)
            partial.rename(target)
            _sync(self.folder)
        except OSError as error:
            raise self._no_room("the manifest", 0, error) from error
        self.last = made
        self._prune()

    def _prune(self) -> None:
        steps = sorted(self.folder.glob("step" + "[0-9]" * 9))
        for path in steps[: -self._keep]:
            if not self._keep_every or _step_of(path) % self._keep_every:
                _remove(path)

    def _no_room(self, what: str, size: int, error: Exception) -> CheckpointWriteError:
        place = self.folder if self.folder.exists() else self.folder.parent
        free = shutil.disk_usage(place).free
        return CheckpointWriteError(
            f"{what} of a checkpoint ({size:,} bytes) could not be written to {self.folder}, where "
            f"{free:,} bytes are free: {error}. Earlier checkpoints are whole: when there is room, "
            "run the same command again and it goes on from the last one"
        )


class _Task:
    """A function that a thread runs; one that is not waited for ends with the process."""

    def __init__(self, function: Callable[[], None], name: str) -> None:
        self._function = function
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._function()
        except Exception as error:  # noqa: BLE001  handed to the thread that waits
            self._error = error

    def wait(self) -> Exception | None:
        """Return what the function raised, once it ended."""
        self._thread.join()
        return self._error


def _first(message: str | None) -> str | None:
    """Return the first message that any rank has, on all ranks."""
    messages = [message]
    if dist.get_world_size() > 1:
        messages = [None] * dist.get_world_size()
        dist.all_gather_object(messages, message)
    return next(filter(None, messages), None)


def _step_of(path: Path) -> int:
    return int(path.name.removeprefix("step"))


def _write(file: Path, text: str) -> None:
    """Write a file that others see whole or not at all."""
    part = file.with_name(file.name + ".part")
    part.write_text(text)
    _sync(part)
    part.replace(file)


def _write_manifest(folder: Path, checkpoint: Checkpoint) -> None:
    entries = {name: value for name, value in asdict(checkpoint).items() if name != "path"}
    # not sorted: the order of an object's entries may mean something to the writer
    _write(folder / MANIFEST, json.dumps(entries, indent=1) + "\n")
    for path in sorted({(folder / name).parent for name in checkpoint.files}):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> int:
    """Wait until a file or folder is on the disk; return its size."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    """Remove a checkpoint: at no time is half of it there under its name."""
    removed = path.with_name(f"{path.name}.{secrets.token_hex(4)}{REMOVED}")
    path.rename(removed)
    shutil.rmtree(removed)


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
