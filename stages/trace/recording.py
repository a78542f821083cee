"""A trace in the making, and the budgets that end it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceLimits:
    """Budgets that end a trace; all but ``value_chars``, which shortens a value's text."""

    events: int = 10_000
    """Frames."""
    bytes: int = 1_000_000
    """Text, about as the grammar would show it."""
    value_chars: int = 100
    """Characters of one value."""
    calls: int = 1_000_000
    """Calls of Python functions, stepped over or not: a clock that every machine agrees on."""


class TraceStopped(BaseException):
    """Raised inside the program when a budget is spent."""


@dataclass(slots=True)
class Recording:
    """One trace in the making, then done: ``outcome`` is "" while it is open.

    Outcomes: return, exception, event-budget, byte-budget, call-budget, and lost: the program ended
    without the tracer seeing the entry's scope end (it meddled, or ran out of stack).
    """

    name: str
    arguments: str | None
    frames: list[dict[str, Any]] = field(default_factory=list)
    outcome: str = ""
    result: str = ""
    calls: int = 0
    """Calls of Python functions while it was open: two executions that agree agree in this too."""

    @property
    def lines(self) -> int:
        """How many line events there are."""
        return sum(frame["event"] == "line" for frame in self.frames)

    def to_json(self) -> dict[str, Any]:
        """Return the value as JSON, for the way out of the sandbox."""
        return {
            "name": self.name,
            "arguments": self.arguments,
            "frames": self.frames,
            "outcome": self.outcome,
            "result": self.result,
            "calls": self.calls,
        }
