"""CWM's grammar for traces: steps to tokens and back.

::

    <|begin_of_text|><|trace_context_start|>CONTEXT<|frame_sep|>
    <|call_sep|>LOCALS<|action_sep|>SOURCE<|frame_sep|>
    <|line_sep|>LOCALS<|action_sep|>SOURCE<|frame_sep|>
    <|return_sep|><|action_sep|>SOURCE<|arg_sep|>VALUE<|frame_sep|>
    <|exception_sep|><|action_sep|>SOURCE<|arg_sep|>VALUE<|frame_sep|>
    <|end_of_text|>

LOCALS is ``json.dumps`` (its default separators and ASCII escapes) of {name: repr}, VALUE that of
the repr, SOURCE the physical line with its newline. Which locals are shown as ``".."`` is the
business of `model.frames`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from model.frames import (
    EVENTS,
    UNCHANGED,
    Event,
    Frame,
    Locals,
    Scopes,
    Step,
    Trace,
    TraceError,
    diff,
    leaves_scope,
    resolve,
)
from model.tokens import Piece, Special, Tokenizer

__all__ = [
    "EVENTS",
    "MARK",
    "UNCHANGED",
    "Event",
    "Frame",
    "Locals",
    "ParseProblem",
    "ParsedTrace",
    "Scopes",
    "Step",
    "Trace",
    "TraceError",
    "context_pieces",
    "diff",
    "encode",
    "encode_context",
    "encode_step",
    "encode_steps",
    "entry_prompt",
    "final_value",
    "leaves_scope",
    "mark_line",
    "parse",
    "render",
    "resolve",
    "step_pieces",
    "unmark",
]

MARK = "  # << START_OF_TRACE"
"""The comment that ends the line where a trace begins."""


def mark_line(source: str, line: int) -> str:
    """Return ``source`` with `MARK` at the end of its 1-based ``line``."""
    lines = source.split("\n")  # as Python counts them: a form feed or U+2028 ends none
    text = lines[line - 1]
    body = text.rstrip("\r")
    lines[line - 1] = body + MARK + text[len(body) :]
    return "\n".join(lines)


def unmark(context: str) -> str:
    """Return a context without the mark: the source as it was."""
    return context.replace(MARK, "", 1)


def step_pieces(step: Step) -> list[Piece]:
    """Return one step in CWM's grammar."""
    head: list[Piece] = [Special(f"{step.event}_sep")]
    if step.locals is not None:
        head.append(json.dumps(dict(step.locals)))
    head += [Special("action_sep"), step.source]
    if step.value is not None:
        head += [Special("arg_sep"), json.dumps(step.value)]
    return [*head, Special("frame_sep")]


def context_pieces(context: str) -> list[Piece]:
    """Return what precedes the first frame."""
    return [Special("bos"), Special("trace_context_start"), context, Special("frame_sep")]


def render(trace: Trace) -> list[Piece]:
    """Return a whole trace document in CWM's grammar."""
    steps = [piece for step in diff(trace.frames) for piece in step_pieces(step)]
    return [*context_pieces(trace.context), *steps, Special("eos")]


def encode_context(context: str, tokenizer: Tokenizer) -> list[int]:
    """Encode what precedes the first frame."""
    return tokenizer.encode_pieces(context_pieces(context))


def encode_step(step: Step, tokenizer: Tokenizer) -> list[int]:
    """Encode one step, its event token first and ``<|frame_sep|>`` last."""
    return tokenizer.encode_pieces(step_pieces(step))


def encode_steps(steps: Iterable[Step], tokenizer: Tokenizer) -> list[int]:
    """Encode consecutive steps, without context and without an end token."""
    return tokenizer.encode_pieces(piece for step in steps for piece in step_pieces(step))


def encode(trace: Trace, tokenizer: Tokenizer) -> tuple[list[int], list[bool]]:
    """Encode a whole trace document; the second list is True on the tokens of its context."""
    context = encode_context(trace.context, tokenizer)
    body = [*encode_steps(diff(trace.frames), tokenizer), tokenizer.special("eos")]
    return context + body, [True] * len(context) + [False] * len(body)


def entry_prompt(context: str, call: Frame, tokenizer: Tokenizer) -> list[int]:
    """Encode everything up to and including the first call frame: what a model traces on from."""
    return encode_context(context, tokenizer) + encode_step(Scopes().diff(call), tokenizer)


@dataclass(frozen=True, slots=True)
class ParseProblem:
    """Where tokens leave the grammar: ``reason`` is a stable word, ``position`` an index of ids."""

    reason: str
    position: int


@dataclass(frozen=True, slots=True)
class ParsedTrace:
    """What a token sequence says: every well-formed step before the first problem.

    ``complete`` means: no problem, an end token seen, and the last step leaves the outermost scope.
    """

    frames: tuple[Step, ...]
    context: str | None = None
    complete: bool = False
    error: ParseProblem | None = None


class _Problem(Exception):  # noqa: N818  # carries a ParseProblem out of the parser; never leaves it
    def __init__(self, reason: str, position: int) -> None:
        super().__init__(reason, position)
        self.problem = ParseProblem(reason, position)


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

    def need(self, reason: str, *names: str) -> str:
        """Step over one of ``names`` or raise; ids that have run out are "truncated"."""
        if self.position == len(self.ids):
            raise _Problem("truncated", self.position)
        found = self.take(*names)
        if found is None:
            raise _Problem(reason, self.position)
        return found

    def text(self) -> str:
        """Return the ordinary text up to the next special token."""
        start = self.position
        while self.position < len(self.ids) and (
            self.ids[self.position] < self.tokenizer.regular_size
        ):
            self.position += 1
        return self.tokenizer.decode(self.ids[start : self.position])

    def json(self, what: str) -> Any:
        """Return the JSON value written up to the next special token."""
        start = self.position
        text = self.text()
        if self.position == len(self.ids):
            raise _Problem("truncated", self.position)
        try:
            return json.loads(text, object_pairs_hook=_unique)
        except (ValueError, RecursionError):
            raise _Problem(f"{what}-not-json", start) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice")
    return found


def _read_step(reader: _Reader, event: Event) -> Step:
    """Read one step whose event token has been taken."""
    shown: Locals | None = None
    value: str | None = None
    start = reader.position
    if event in ("call", "line"):
        found = reader.json("locals")
        if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
            raise _Problem("locals-not-strings", start)
        shown = tuple(found.items())
    reader.need("no-action", "action_sep")
    source = reader.text()
    if shown is None:
        reader.need("no-value", "arg_sep")
        start = reader.position
        value = reader.json("value")
        if not isinstance(value, str):
            raise _Problem("value-not-string", start)
    reader.need("no-frame-end", "frame_sep")
    return Step(event, source, locals=shown, value=value)


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
        return ParsedTrace(tuple(steps), context, error=raised.problem)
    return ParsedTrace(tuple(steps), context, complete=leaves_scope(steps))


def final_value(parsed: ParsedTrace) -> str | None:
    """Return the repr that a complete trace returns; None when cut or ended by an exception."""
    if not parsed.complete:
        return None
    if len(parsed.frames) > 1 and parsed.frames[-2].event == "exception":
        return None  # the return of an exception that passes through the outermost scope
    return parsed.frames[-1].value
