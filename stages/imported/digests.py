"""The sha256 of files that may be many gigabytes, several at once, saying how far it is."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

log = logging.getLogger(__name__)

CHUNK = 1 << 22
SHOWN_FROM = 1 << 30
"""Bytes from which on it takes long enough to be shown."""
LOG_SECONDS = 5.0
THREADS = 8


def file_digests(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Return {name: sha256 in hex}; on a terminal a bar shows how far it is, the log does else."""
    total = sum((folder / name).stat().st_size for name in names)
    with _Shown(total) as shown, ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        digests = pool.map(lambda name: _digest(folder / name, shown), names)
        return dict(zip(names, digests, strict=True))


def _digest(file: Path, shown: _Shown) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            shown.advance(len(chunk))
    return digest.hexdigest()


class _Shown:
    """How many bytes are read of how many."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._began = self._last = time.monotonic()
        self._lock = threading.Lock()
        columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        hidden = total < SHOWN_FROM or not console.is_terminal
        self._bar = Progress(*columns, console=console, transient=True, disable=hidden)
        self._task = self._bar.add_task("reading", total=total)

    def __enter__(self) -> _Shown:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def advance(self, size: int) -> None:
        """Count bytes that were read; called by any thread."""
        with self._lock:
            self._done += size
            self._bar.advance(self._task, size)
            if (now := time.monotonic()) - self._last > LOG_SECONDS:
                self._last = now
                left = (now - self._began) * (self._total - self._done) / self._done
                figures = self._done / 1e9, self._total / 1e9, left
                log.info("read %.1f of %.1f GB, about %.0f s left", *figures)
