"""CWM's grammar for traces: steps to tokens.

::

    <|begin_of_text|><|trace_context_start|>CONTEXT<|frame_sep|>
    <|call_sep|>LOCALS<|action_sep|>SOURCE<|frame_sep|>
    <|line_sep|>LOCALS<|action_sep|>SOURCE<|frame_sep|>
    <|return_sep|><|action_sep|>SOURCE<|arg_sep|>VALUE<|frame_sep|>
    <|exception_sep|><|action_sep|>SOURCE<|arg_sep|>VALUE<|frame_sep|>
    <|end_of_text|>

LOCALS is ``json.dumps`` (its default separators and ASCII escapes) of {name: repr}, VALUE that of
the repr, SOURCE the physical line with its newline. Calls and lines have LOCALS, returns and
exceptions a VALUE; an exception that leaves a function is an exception and a return of "None".
Which locals are shown as ``".."`` is the business of `model.frames`.

Text is only ever written as text: the name of a special token in a source line or a value stays
ordinary characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from model.frames import Frame, Scopes, Step, Trace, diff
from model.tokens import Piece, Special, Tokenizer

MARK = "  # << START_OF_TRACE"
"""The comment that ends the line where a trace begins."""

_MARKED = re.compile(re.escape(MARK) + r"(?=\r?$)", re.MULTILINE)


def mark_line(source: str, line: int) -> str:
    """Return ``source`` with `MARK` at the end of its 1-based ``line``."""
    lines = source.split("\n")  # as Python counts them: a form feed or U+2028 ends none
    text = lines[line - 1]
    body = text.rstrip("\r")
    lines[line - 1] = body + MARK + text[len(body) :]
    return "\n".join(lines)


def unmark(context: str) -> str:
    """Return a context without the mark: the source as it was."""
    return _MARKED.sub("", context, count=1)


def json_text(value: Any) -> str:
    """Return ``value`` as the grammar writes it, so that `json.loads` gives it back."""
    text = json.dumps(value)
    if "\\ud" in text and json.loads(text) != value:
        # two lone surrogates, escaped, would be read as the one character that they make up
        return json.dumps(value, ensure_ascii=False)
    return text


def step_pieces(step: Step) -> list[Piece]:
    """Return one step in CWM's grammar."""
    head: list[Piece] = [Special(f"{step.event}_sep")]
    if step.locals is not None:
        head.append(json_text(dict(step.locals)))
    head += [Special("action_sep"), step.source]
    if step.value is not None:
        head += [Special("arg_sep"), json_text(step.value)]
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
