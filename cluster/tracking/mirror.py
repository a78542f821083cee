"""Forwarding a step's ``metrics.jsonl`` to its run while the step writes it."""

from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

log = logging.getLogger(__name__)

BATCH = 500  # metrics in one call; MLflow takes 1000


class MetricsMirror:
    """A context in which a thread sends the new whole lines of a file every ``interval`` seconds.

    ``send`` gets a list of (name, value, step, milliseconds since the epoch). The file is the
    record of truth: when ``send`` fails with one of ``errors``, the lines are tried again, and what
    could not be sent at the end is named in a warning, because a step must not fail for its copy.
    """

    def __init__(
        self,
        file: Path,
        send: Callable[[list[tuple[str, float, int, int]]], None],
        *,
        errors: tuple[type[Exception], ...] = (),
        interval: float = 3.0,
    ) -> None:
        self._file = file
        self._send = send
        self._errors = errors
        self._interval = interval
        self._offset = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="metrics-mirror", daemon=True)

    def __enter__(self) -> MetricsMirror:
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
        if not self._flush():
            log.warning("the tracker did not get all metrics; they are in %s", self._file)

    def _loop(self) -> None:
        while not self._stop.wait(self._interval):
            self._flush()

    def _flush(self) -> bool:
        """Send what is new; return whether all of it arrived."""
        try:
            while self._send_next():
                pass
        except self._errors as error:
            log.debug("metrics of %s will be sent again: %s", self._file, error)
            return False
        return True

    def _send_next(self) -> bool:
        """Send at most about `BATCH` metrics; return whether there may be more."""
        points: list[tuple[str, float, int, int]] = []
        offset = self._offset
        if not self._file.exists():
            return False
        with self._file.open("rb") as lines:
            lines.seek(offset)
            for line in lines:
                if not line.endswith(b"\n"):  # being written
                    break
                offset += len(line)
                points.extend(_points(json.loads(line)))
                if len(points) >= BATCH:
                    break
        if points:
            self._send(points)
        moved, self._offset = offset != self._offset, offset
        return moved and len(points) >= BATCH


def _points(line: dict[str, Any]) -> list[tuple[str, float, int, int]]:
    stamp = int(line["time"] * 1000)
    return [
        (name, float(value), int(line["step"]), stamp)
        for name, value in line["metrics"].items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    ]
