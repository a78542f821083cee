"""A trace in the making, and the budgets that end it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Locals = tuple[str, ...]
Step = tuple[str, int, Locals | None, str | None, bool, int]
"""A frame as a tracer keeps it: event, line in the context, locals as (name, text, name, text, …),
value, unwinding, depth. Texts, and the locals of a frame in which nothing changed, are shared with
the frame before: a long trace of a large state stays small."""


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

    Outcomes: return, exception, event-budget, byte-budget, call-budget, time-budget (of the command
    alone: a clock ends no trace that is kept), and lost: the program ended without the tracer
    seeing the entry's scope end (it meddled, or ran out of stack).
    """

    name: str
    arguments: str | None
    text: Sequence[str] = ()
    """The lines of the context, each with its newline."""
    steps: list[Step] = field(default_factory=list)
    outcome: str = ""
    result: str = ""
    calls: int = 0
    """Calls of Python functions while it was open: two executions that agree agree in this too."""

    @property
    def lines(self) -> int:
        """How many line events there are."""
        return sum(step[0] == "line" for step in self.steps)

    @property
    def frames(self) -> list[dict[str, Any]]:
        """The frames as rows of `stages.tables.FRAME`, made anew at each access."""
        return frame_rows(self.text, self.steps)

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


def frame_rows(text: Sequence[str], steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Return steps as rows of `stages.tables.FRAME`."""
    return [
        {
            "event": event,
            "line": line,
            "source": text[line - 1],
            "locals": shown
            if shown is None
            else [
                {"name": name, "value": value}
                for name, value in zip(shown[::2], shown[1::2], strict=True)
            ],
            "value": value,
            "unwinding": unwinding,
            "depth": depth,
        }
        for event, line, shown, value, unwinding, depth in steps
    ]
