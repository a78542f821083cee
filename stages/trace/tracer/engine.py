"""The tracing engine: the one in C where it was built, else the one in Python.

An engine is made with targets by the ``id`` of their code, limits and three callbacks: ``begin`` is
asked for a `Recording` (or None: not this call) when a target is called while no recording is open,
``close`` is told its outcome, its result and how many calls there were; ``files`` is asked, once
for each file name, what is shown of a file that the target is not in. With ``any_entry`` a call of
any code in such a file begins a recording too, its target None. Between ``start`` and ``stop`` an
engine appends to the ``steps`` of the recording that is open.
"""

from __future__ import annotations

import opcode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import FrameType
from typing import Any, Protocol

from stages.trace.tracer.build import find_native
from stages.trace.tracer.recording import Recording, TraceLimits, TraceStopped
from stages.trace.tracer.source import ShownSource


@dataclass(frozen=True, slots=True)
class Target:
    """A function whose calls are recorded, and the source they are shown in."""

    name: str
    function: Callable[..., Any]
    shown: ShownSource


Begin = Callable[[Target | None, FrameType], Recording | None]
Close = Callable[[str, str, int], None]
Files = Callable[[str], ShownSource | None]


class Engine(Protocol):
    """What traces a thread."""

    name: str
    hook: Any
    """What ``sys.gettrace`` says while it traces."""

    def start(self) -> None:
        """Trace this thread from here on."""

    def stop(self) -> None:
        """Trace no more; what is still open is lost."""


class MakeEngine(Protocol):
    """What makes an engine."""

    def __call__(
        self,
        targets: Mapping[int, Target],
        limits: TraceLimits,
        begin: Begin,
        close: Close,
        files: Files | None = None,
        any_entry: bool = False,
    ) -> Engine:
        """Make one; see the module's docstring."""


def _opcodes(*names: str) -> frozenset[int]:
    return frozenset(opcode.opmap[name] for name in names if name in opcode.opmap)


LEAVING = _opcodes("RETURN_VALUE", "RETURN_CONST", "YIELD_VALUE", "RETURN_GENERATOR")
"""Opcodes that leave a frame with a value."""
YIELDING = _opcodes("YIELD_VALUE")
RESUME = opcode.opmap["RESUME"]
ENDS_A_LOOP = _opcodes("FOR_ITER", "SEND", "END_SEND", "YIELD_FROM")
"""Opcodes whose StopIteration is CPython's affair."""

NOTICE = (
    "the tracer in C is not built: tracing takes about ten times as long in Python."
    " Install a C compiler and Python's headers, then `pip install -e .` again"
)


@cache
def engine_name() -> str:
    """Return which engine traces here: "native" or "python"."""
    try:
        find_native()
    except ImportError:
        return "python"
    return "native"


def make_engine() -> MakeEngine:
    """Return what makes the faster engine of those that are here."""
    if engine_name() == "native":
        return native_engine
    from stages.trace.tracer import reference

    return reference.Engine


def native_engine(
    targets: Mapping[int, Target],
    limits: TraceLimits,
    begin: Begin,
    close: Close,
    files: Files | None = None,
    any_entry: bool = False,
) -> Engine:
    """Make the engine in C; raises ImportError where it was not built."""
    engine: Engine = find_native().Engine(
        targets=dict(targets),
        begin=begin,
        close=close,
        files=files,
        any_entry=any_entry,
        stopped=TraceStopped,
        leaving=_flags(LEAVING),
        yielding=_flags(YIELDING),
        ends_a_loop=_flags(ENDS_A_LOOP),
        resume=RESUME,
        events=limits.events,
        bytes=limits.bytes,
        value_chars=limits.value_chars,
        calls=limits.calls,
        depth=limits.depth,
        attributes=limits.attributes,
        go_on=limits.go_on,
    )
    return engine


@cache
def _flags(opcodes: frozenset[int]) -> bytes:
    return bytes(number in opcodes for number in range(256))
