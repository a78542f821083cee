"""SIGTERM: what runs in this process is interrupted, what runs elsewhere is asked to stop.

Ray turns a SystemExit that is raised inside its calls into exit code 1, so while the driver waits
for Ray the signal only sets a flag, which the executor's loop looks at.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

EXIT_CODE = 143
"""128 + SIGTERM, as a shell reports a process that the signal ended."""


class Stopping:
    """Handles SIGTERM in a ``with`` block; ``deferred`` only notes it for `check`."""

    def __init__(self) -> None:
        self.deferred = False
        self._asked = False
        self._previous: Any = None

    def __enter__(self) -> Stopping:
        self._previous = signal.getsignal(signal.SIGTERM)
        self.install()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGTERM, self._previous)

    def install(self) -> None:
        """Take the signal."""
        signal.signal(signal.SIGTERM, self._handle)

    @contextmanager
    def starting_ray(self) -> Iterator[None]:
        """Keep the exit code in a block that starts Ray, which puts its own handler there."""
        try:
            yield
        except SystemExit as error:
            if self._asked or error.code == signal.SIGTERM:
                raise SystemExit(EXIT_CODE) from error
            raise
        self.install()
        self.deferred = True

    def check(self) -> None:
        """Raise SystemExit if the signal came."""
        if self._asked:
            raise SystemExit(EXIT_CODE)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True
        if not self.deferred:
            raise SystemExit(EXIT_CODE)
