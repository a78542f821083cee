"""What a sandboxed call may use, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["ok", "error", "timeout", "memory", "crash", "output"]
"""How a call ended.

ok       the function returned; ``Result.value`` is what it returned
error    the function raised, or returned what JSON cannot say
timeout  the CPU or the wall limit struck
memory   MemoryError, or the kernel killed it for memory
crash    it died without a result: a signal, ``os._exit``, a fork bomb, a forged reply
output   the result, or a file it wrote, was larger than allowed
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Limits of one call: they contain. Budgets that shape data are the called function's own."""

    cpu_seconds: float = 10.0
    """CPU time of the process that runs the function, in whole seconds, rounded up."""
    wall_seconds: float = 20.0
    """Time from fork to result."""
    memory_bytes: int = 1 << 30
    """Address space of each process beyond what the preloaded server already maps."""
    processes: int = 64
    """Processes and threads at once, counted every 50 ms; more of them end the call."""
    output_bytes: int = 16 << 20
    """Size of the JSON result, and of any one file written."""

    def __post_init__(self) -> None:
        for name in ("cpu_seconds", "wall_seconds", "memory_bytes", "processes", "output_bytes"):
            value = getattr(self, name)
            if value <= 0:
                raise ValueError(f"Limits.{name} is {value}; it must be above 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a call came to."""

    outcome: Outcome
    value: Any = None
    """The function's JSON value; None unless the outcome is ok."""
    error: str = ""
    """Why the outcome is not ok: exception and traceback, or which limit."""
    stdout: str = ""
    """What was written to file descriptors 1 and 2, when the call asked to capture it."""
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
