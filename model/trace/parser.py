"""CWM's grammar for traces: tokens to steps, and what is wrong where they leave the grammar.

`parse` reads what a model wrote, so nothing about its tokens can be relied on: it takes time in
proportion to their number, never raises, and keeps the steps before the first problem.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from model.frames import EVENTS, Event, Step, leaves_scope
from model.tokens import Tokenizer

Reason = Literal[
    "truncated",
    "outside-vocabulary",
    "no-context-end",
    "no-event",
    "no-action",
    "no-value",
    "no-frame-end",
    "locals-not-json",
    "locals-not-strings",
    "locals-name-twice",
    "value-not-json",
    "value-not-string",
]
"""Stable words for what is wrong; `EXPECTED` says of each what the grammar has there."""

EXPECTED: dict[Reason, str] = {
    "truncated": "more tokens, up to an end token",
    "outside-vocabulary": "a token of the vocabulary",
    "no-context-end": "<|frame_sep|> after the context",
    "no-event": "the event token of a step, or an end token",
    "no-action": "<|action_sep|> before a step's source line",
    "no-value": "<|arg_sep|> after the source line of a return or an exception",
    "no-frame-end": "<|frame_sep|> at the end of a step",
    "locals-not-json": "the locals as JSON",
    "locals-not-strings": "the locals as one JSON object whose values are strings",
    "locals-name-twice": "the locals as a JSON object with every name once",
    "value-not-json": "the value as JSON",
    "value-not-string": "the value as one JSON string",
}

_SHOWN = 12  # tokens on either side of a problem that its message shows


@dataclass(frozen=True, slots=True)
class ParseProblem:
    """Where tokens leave the grammar.

    ``position`` is an index of the ids that were parsed (their number when they end too early),
    ``before`` and ``after`` are the text around it.
    """

    reason: Reason
    position: int
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        found = repr(self.after) if self.after else "nothing"
        return (
            f"{self.reason} at token {self.position}: expected {EXPECTED[self.reason]}; "
            f"found {found} after {self.before!r}"
        )


@dataclass(frozen=True, slots=True)
class ParsedTrace:
    """What a token sequence says: every well-formed step before the first problem.

    ``complete`` means: no problem, an end token seen, and the last step, but none before it, leaves
    the scope of the first.
    """

    frames: tuple[Step, ...]
    context: str | None = None
    complete: bool = False
    error: ParseProblem | None = None


class _Problem(Exception):  # noqa: N818  # leaves the reader, never `parse`
    def __init__(self, reason: Reason, position: int) -> None:
        super().__init__(reason, position)
        self.reason: Reason = reason
        self.position = position


class _Reader:
    """Walks over ids, one text segment and one special token at a time."""

    def __init__(self, ids: Sequence[int], tokenizer: Tokenizer) -> None:
        self.ids = ids
        self.tokenizer = tokenizer
        self.position = 0

    def take(self, *names: str) -> str | None:
        """Step over the next token when it is one of the special tokens ``names``; return which."""
        if self.position < len(self.ids):
            for name in names:
                if self.ids[self.position] == self.tokenizer.special(name):
                    self.position += 1
                    return name
        return None

    def need(self, reason: Reason, *names: str) -> str:
        """Step over one of ``names`` or raise."""
        if self.position == len(self.ids):
            raise _Problem("truncated", self.position)
        if not 0 <= self.ids[self.position] < self.tokenizer.vocab_size:
            raise _Problem("outside-vocabulary", self.position)
        found = self.take(*names)
        if found is None:
            raise _Problem(reason, self.position)
        return found

    def text(self) -> str:
        """Return the ordinary text up to the next token that is none."""
        ids, end, regular = self.ids, self.position, self.tokenizer.regular_size
        while end < len(ids) and 0 <= ids[end] < regular:
            end += 1
        start, self.position = self.position, end
        return self.tokenizer.decode(ids[start:end])

    def problem(self, found: _Problem) -> ParseProblem:
        """Describe a problem with the tokens around it."""
        at = found.position
        before, after = self.ids[max(at - _SHOWN, 0) : at], self.ids[at : at + _SHOWN]
        decode = self.tokenizer.decode
        return ParseProblem(found.reason, at, decode(before), decode(after))


def _read_locals(reader: _Reader) -> tuple[tuple[str, str], ...]:
    start, text = reader.position, reader.text()
    reader.need("no-action", "action_sep")
    try:
        # an object becomes a tuple of its pairs, which no other JSON value is
        found: Any = json.loads(text, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        raise _Problem("locals-not-json", start) from None
    if not isinstance(found, tuple) or not all(isinstance(value, str) for _, value in found):
        raise _Problem("locals-not-strings", start)
    if len(dict(found)) != len(found):
        raise _Problem("locals-name-twice", start)
    return found


def _read_value(reader: _Reader) -> str:
    start, text = reader.position, reader.text()
    reader.need("no-frame-end", "frame_sep")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise _Problem("value-not-json", start) from None
    if not isinstance(found, str):
        raise _Problem("value-not-string", start)
    return found


def _read_step(reader: _Reader, event: Event) -> Step:
    """Read one step whose event token has been taken."""
    if event in ("call", "line"):
        shown = _read_locals(reader)
        source = reader.text()
        reader.need("no-frame-end", "frame_sep")
        return Step(event, source, locals=shown)
    reader.need("no-action", "action_sep")
    source = reader.text()
    reader.need("no-value", "arg_sep")
    return Step(event, source, value=_read_value(reader))


def parse(ids: Sequence[int], tokenizer: Tokenizer) -> ParsedTrace:
    """Read steps from ``ids``: a whole document, or frames alone as a model writes them.

    Tokens after the first end token (end of text, of turn or of message) are ignored. Never raises:
    what breaks the grammar becomes ``error``, the steps before it are kept.
    """
    reader = _Reader(ids, tokenizer)
    steps: list[Step] = []
    context: str | None = None
    event_tokens = {f"{event}_sep": event for event in EVENTS}
    try:
        reader.take("bos")
        if reader.take("trace_context_start"):
            context = reader.text()
            reader.need("no-context-end", "frame_sep")
        while not reader.take("eos", "eot", "eom"):
            event = reader.need("no-event", *event_tokens)
            steps.append(_read_step(reader, event_tokens[event]))
    except _Problem as raised:
        return ParsedTrace(tuple(steps), context, error=reader.problem(raised))
    return ParsedTrace(tuple(steps), context, complete=leaves_scope(steps))


def final_value(parsed: ParsedTrace) -> str | None:
    """Return the repr that a complete trace returns; None when cut or ended by an exception."""
    if not parsed.complete:
        return None
    if len(parsed.frames) > 1 and parsed.frames[-2].event == "exception":
        return None  # the return of an exception that passes through the outermost scope
    return parsed.frames[-1].value
