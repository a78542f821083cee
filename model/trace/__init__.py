"""CWM's grammar for traces, in both directions.

::

    grammar.py   frames and steps (`model.frames`) to tokens
    parser.py    tokens to steps; `ParseProblem` names what is wrong, and where

A trace in tokens and back::

    ids, is_context = encode(trace, tokenizer)
    parsed = parse(ids, tokenizer)
    if parsed.error:
        print(parsed.error)  # no-action at token 31: expected <|action_sep|> before …
    full = resolve(parsed.frames)  # every ".." replaced by what it stands for
"""

from __future__ import annotations

from model.trace.grammar import (
    MARK,
    context_pieces,
    encode,
    encode_context,
    encode_step,
    encode_steps,
    entry_prompt,
    json_text,
    mark_line,
    render,
    step_pieces,
    unmark,
)
from model.trace.parser import (
    EXPECTED,
    ParsedTrace,
    ParseProblem,
    Reason,
    final_value,
    parse,
)

__all__ = [
    "EXPECTED",
    "MARK",
    "ParseProblem",
    "ParsedTrace",
    "Reason",
    "context_pieces",
    "encode",
    "encode_context",
    "encode_step",
    "encode_steps",
    "entry_prompt",
    "final_value",
    "json_text",
    "mark_line",
    "parse",
    "render",
    "step_pieces",
    "unmark",
]
