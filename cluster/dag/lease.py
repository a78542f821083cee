"""A lease keeps two runs off one step.

The lease is a file that names its holder (host, boot and pid name space, pid, start time) and a
heartbeat. It is taken over at once when the holder is dead on this machine; a holder on another
machine must be silent for 30 s, measured on the clock of who waits, so that clocks need not agree.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from cluster.dag.errors import DagError
from cluster.dag.files import write_json
from cluster.dag.process import ProcessId, this_process

log = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
SILENCE_SECONDS = 30.0


class LeaseLostError(DagError):
    """Another run took the step over while this one was silent; nothing of it may be published."""


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock for the moment it takes to look at the lease and replace it."""
    handle = os.open(folder / "lease.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def read_lease(folder: Path) -> dict[str, Any] | None:
    """Return what the lease of a folder says, None when nobody holds it."""
    try:
        value: dict[str, Any] = json.loads((folder / "lease.json").read_text())
    except FileNotFoundError:
        return None
    return value


def holder(lease: dict[str, Any]) -> ProcessId:
    """Return the process that holds a lease."""
    return ProcessId(**lease["holder"])


class Lease:
    """The lease of one step's folder, held in a ``with`` block; waits until it is free.

    ``on_beat`` is called with every heartbeat, from another thread.
    """

    def __init__(self, folder: Path, step: str, on_beat: Callable[[], None] | None = None) -> None:
        self._folder = folder
        self._step = step
        self._token = secrets.token_hex(8)
        self._on_beat = on_beat
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease of {step}", daemon=True)

    def __enter__(self) -> Lease:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._wait()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        with _locked(self._folder):
            if self._is_ours():
                (self._folder / "lease.json").unlink()

    def check(self) -> None:
        """Raise `LeaseLostError` when the lease is no longer ours."""
        if not self._is_ours():
            raise LeaseLostError(f"{self._step}: another run took over {self._folder}")

    def _is_ours(self) -> bool:
        lease = read_lease(self._folder)
        return lease is not None and lease["token"] == self._token

    def _write(self, beat: int) -> None:
        value = {
            "holder": asdict(this_process()),
            "token": self._token,
            "step": self._step,
            "beat": beat,
        }
        write_json(self._folder / "lease.json", value)

    def _wait(self) -> None:
        """Take the lease as soon as it is free."""
        seen: tuple[str, int] | None = None
        since = said = time.monotonic()
        while True:
            with _locked(self._folder):
                lease = read_lease(self._folder)
                if lease is None or holder(lease).is_dead():
                    return self._write(0)
                if (lease["token"], lease["beat"]) != seen:
                    seen, since = (lease["token"], lease["beat"]), time.monotonic()
                elif not holder(lease).is_here() and time.monotonic() - since > SILENCE_SECONDS:
                    log.warning("%s: taken over from %s, which is silent", self._step, lease)
                    return self._write(0)
            if said <= since or time.monotonic() - said > 30:
                who = holder(lease)
                log.info("waits: pid %d on %s is at it", who.pid, who.host)
                said = time.monotonic() + 1e-6
            time.sleep(0.2)

    def _beat(self) -> None:
        beat = 0
        while not self._stop.wait(BEAT_SECONDS):
            if self._on_beat is not None:
                self._on_beat()
            with _locked(self._folder):
                if not self._is_ours():
                    return
                beat += 1
                self._write(beat)
