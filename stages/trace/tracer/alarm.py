"""A clock around code that might never end by itself."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn


@contextmanager
def alarm(seconds: int, ring: Callable[[], NoReturn]) -> Iterator[None]:
    """Call ``ring``, which raises, inside the block once it has run for so long; 0: never."""
    before = signal.signal(signal.SIGALRM, lambda number, frame: ring())
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
