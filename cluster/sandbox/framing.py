"""Length-framed bytes over pipes: eight bytes of length, then that many bytes.

JSON travels in the frames. A program in the sandbox can write anything it likes into its own result
pipe; the worst it can do is to forge its own result, for nothing here is ever unpickled or
evaluated.
"""

from __future__ import annotations

import json
import os
import select
import struct
import time
from typing import Any

_LENGTH = struct.Struct("<Q")


class FramingError(ValueError):
    """The other side closed the pipe, was late, or announced more bytes than allowed."""


class OverBudgetError(FramingError):
    """The other side announced more bytes than allowed."""


def write_frame(handle: int, body: bytes) -> None:
    """Write one frame, in as many writes as it takes."""
    view = memoryview(_LENGTH.pack(len(body)) + body)
    while view:
        view = view[os.write(handle, view) :]


def write_json(handle: int, value: Any) -> None:
    """Write one frame that holds ``value`` as JSON; lone surrogates survive as escapes."""
    write_frame(handle, json.dumps(value).encode())


class FrameReader:
    """Collects one frame from a pipe, piece by piece; ``feed`` once per readable event."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._data = bytearray()
        self._missing = _LENGTH.size
        self._length_known = False

    def feed(self, handle: int) -> bytes | None:
        """Read what is there. Return the frame's body when it is complete, else None.

        Raises `FramingError` at the end of the file, `OverBudgetError` when the announced length is
        over the budget.
        """
        piece = os.read(handle, min(self._missing, 1 << 20))  # never a byte of the next frame
        if not piece:
            raise FramingError("the pipe was closed before a whole frame came")
        self._data += piece
        self._missing -= len(piece)
        if self._missing:
            return None
        if self._length_known:
            return bytes(self._data)
        (self._missing,) = _LENGTH.unpack(self._data)
        if self._missing > self._budget:
            raise OverBudgetError(
                f"a frame of {self._missing} bytes is over the budget of {self._budget}"
            )
        self._length_known = True
        self._data.clear()
        return None if self._missing else b""


def read_frame(handle: int, *, seconds: float | None = None, budget: int = 1 << 34) -> bytes:
    """Read one frame; `FramingError` when it is not there in ``seconds`` (None: wait for ever)."""
    reader = FrameReader(budget)
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not select.select([handle], [], [], left)[0]:
            raise FramingError(f"no answer in {seconds} s")
        body = reader.feed(handle)
        if body is not None:
            return body
