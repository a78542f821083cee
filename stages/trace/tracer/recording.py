"""A trace in the making, and the budgets that end it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self, TypeVar

_Part = TypeVar("_Part")
Locals = tuple[str, ...]
Step = tuple[str, int, Locals | None, str | None, bool, int]
"""A frame as a tracer keeps it: event, line in the context, locals as (name, text, name, text, …),
value, unwinding, depth. Texts, and the locals of a frame in which nothing changed, are shared with
the frame before: a long trace of a large state stays small."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceLimits:
    """Budgets that end a trace, and what it leaves out."""

    events: int = 10_000
    """Frames."""
    bytes: int = 1_000_000
    """Text, about as the grammar would show it."""
    value_chars: int = 100
    """Characters of one value."""
    calls: int = 1_000_000
    """Calls of Python functions, stepped over or not: a clock that every machine agrees on."""
    depth: int = 0
    """Scopes within each other; what is called deeper is stepped over. 0: no limit."""
    attributes: bool = True
    """Whether objects without a ``__repr__`` of their own show their attributes."""
    go_on: bool = False
    """Let the program go on, untraced, when a budget is spent; else `TraceStopped` ends it."""

    def to_json(self) -> dict[str, int | bool]:
        """Return the value as JSON, which are the arguments to make it again."""
        return asdict(self)


USABLE = frozenset({"return", "exception", "event-budget", "byte-budget"})
"""Outcomes of a trace that may be kept: it came to its end, or to that of its own budgets."""


class TraceStopped(BaseException):
    """Raised inside the program when a budget is spent, unless it may go on."""


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
    """Calls of Python functions while it was open."""
    tampered: bool = False
    """Whether the program called, or put something in the place of, what is locked while it runs
    (`stages.trace.tracer.locks`)."""

    @property
    def lines(self) -> int:
        """How many line events there are."""
        return sum(step[0] == "line" for step in self.steps)

    @property
    def frames(self) -> list[dict[str, Any]]:
        """The frames as rows of `stages.tables.FRAME`, made anew at each access."""
        return frame_rows(self.text, self.steps)

    def to_json(self) -> dict[str, Any]:
        """Return the value as JSON, for the way out of the sandbox: what repeats is there once.

        ``trace`` has the ``strings``; ``locals``, each a list of places of names and texts in turn;
        and the ``steps``, whose locals and value are places too. Equal recordings are equal JSON.
        """
        strings, shown = _Places[str](), _Places[Locals]()
        steps = [
            [
                event,
                line,
                None if names is None else shown.of(names),
                None if value is None else strings.of(value),
                unwinding,
                depth,
            ]
            for event, line, names, value, unwinding, depth in self.steps
        ]
        texts = [[strings.of(each) for each in names] for names in shown]
        return {
            "name": self.name,
            "arguments": self.arguments,
            "outcome": self.outcome,
            "result": self.result,
            "calls": self.calls,
            "tampered": self.tampered,
            "trace": {"strings": list(strings), "locals": texts, "steps": steps},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], text: Sequence[str]) -> Self:
        """Undo `to_json`; ``text`` is the lines of the context, which do not travel.

        What comes out of a sandbox may be forged: raises ValueError when it is no recording.
        """
        try:
            steps = list(_steps(value["trace"], len(text)))
            head = {name: value[name] for name in ("name", "arguments", "outcome", "result")}
            texts = {**head, "arguments": head["arguments"] or ""}
            if not all(type(each) is str for each in texts.values()):
                raise ValueError("a text is none")
            if type(value["tampered"]) is not bool:
                raise ValueError("a truth value is none")
            return cls(
                **head, text=text, steps=steps, calls=value["calls"], tampered=value["tampered"]
            )
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise ValueError(f"no recording: {type(error).__name__}: {error}") from error


class _Places(dict[_Part, int]):
    """Different things in the order in which they were met."""

    def of(self, part: _Part) -> int:
        """Return the place of a thing."""
        return self.setdefault(part, len(self))


_EVENTS = frozenset({"call", "line", "return", "exception"})


def _steps(trace: Mapping[str, Any], lines: int) -> Iterator[Step]:
    """Yield the steps of a compact trace; those of one place share their locals again."""
    strings = trace["strings"]
    if not all(type(each) is str for each in strings):
        raise ValueError("a string is none")
    texts = [tuple(strings[place] for place in each) for each in trace["locals"]]
    if any(len(each) % 2 for each in texts):
        raise ValueError("a name without a value")
    most = len(trace["steps"])
    for event, line, shown, value, unwinding, depth in trace["steps"]:
        if event not in _EVENTS or type(line) is not int or not 1 <= line <= lines:
            raise ValueError(f"a step {event!r} at line {line!r} of {lines}")
        if (shown is None) == (value is None) or type(depth) is not int:
            raise ValueError("a step with locals and a value, or neither")
        if not 0 <= depth <= most:
            raise ValueError(f"a step at depth {depth}")
        yield (
            event,
            line,
            None if shown is None else texts[shown],
            None if value is None else strings[value],
            bool(unwinding),
            depth,
        )


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
