"""Where a worker's checkpoints go: through Ray Train, or into a directory when there is no Ray."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

KEPT = 2
"""Checkpoints kept to resume from."""


class Session(Protocol):
    """A worker's link to whoever restarts it."""

    def restored(self) -> AbstractContextManager[Path | None]:
        """Give the last checkpoint's directory while the context lasts; None at the beginning."""
        ...

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        """Keep what ``write(directory)`` leaves as the checkpoint after ``step`` steps; on all
        workers."""
        ...


class LocalSession:
    """Checkpoints of a single process, in ``folder``; whole or not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _checkpoints(self) -> list[Path]:
        return sorted(p for p in self.folder.glob("step*") if re.fullmatch(r"step\d+", p.name))

    def restored(self) -> AbstractContextManager[Path | None]:
        """Give the last checkpoint's directory."""
        checkpoints = self._checkpoints()
        return nullcontext(checkpoints[-1] if checkpoints else None)

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        """Write a checkpoint beside the others and drop the oldest."""
        target = self.folder / f"step{step:09d}"
        partial = target.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write(partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        for old in self._checkpoints()[:-KEPT]:
            shutil.rmtree(old)


class RaySession:
    """Checkpoints through Ray Train, which merges the workers' files in its storage."""

    @contextmanager
    def restored(self) -> Iterator[Path | None]:
        """Give the last checkpoint's directory."""
        import ray.train

        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            yield None
        else:
            with checkpoint.as_directory() as folder:
                yield Path(folder)

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        """Report a checkpoint; every worker writes its own files."""
        import ray.train

        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder))
            ray.train.report(
                {"step": step},
                checkpoint=ray.train.Checkpoint.from_directory(folder),
                checkpoint_dir_name=f"step{step:09d}",
            )
