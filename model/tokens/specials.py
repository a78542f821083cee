"""The 256 reserved ids: CWM's names and offsets, and how a document names them.

Names and offsets are those of ``cwm/text/tokenizers.py`` in facebookresearch/cwm; what a user would
otherwise type, ``bos`` and ``eot``, are aliases. `DEBUGGER` names ids that CWM leaves unused.
"""

from __future__ import annotations

from dataclasses import dataclass

RESERVED = 256
"""Ids kept for special tokens, directly after the regular vocabulary."""

SPECIALS: dict[str, int] = {
    "begin_of_text": 0,
    "end_of_text": 1,
    "pad": 4,
    "start_header_id": 6,
    "end_header_id": 7,
    "eom_id": 8,
    "eot_id": 9,
    "frame_sep": 100,
    "action_sep": 101,
    "return_sep": 102,
    "call_sep": 103,
    "line_sep": 104,
    "exception_sep": 105,
    "arg_sep": 106,
    "trace_context_start": 107,
    "reasoning_thinking_start": 120,
    "reasoning_thinking_end": 121,
}
"""CWM's names, without ``<|`` and ``|>``, and their offsets after the regular vocabulary."""

DEBUGGER: dict[str, int] = {
    "step_into": 200,
    "step_over": 201,
    "step_return": 202,
    "breakpoint": 203,
    "continue": 204,
    "back_into": 205,
    "back_over": 206,
    "back_return": 207,
    "back_breakpoint": 208,
    "back_continue": 209,
    "exit_normal": 210,
    "exit_error": 211,
    "exit_never": 212,
    "trace_end": 213,
}
"""Our names for what the sessions of `stages.trace.renderings.debugger` need.

The paper of the neural debugger names no ids, so these lie far behind CWM's. In a tokenizer's files
they keep the reserved names, as CWM's own files have them: no file changes, and a tokenizer made
before knows them too.
"""

ALIASES = {"bos": "begin_of_text", "eos": "end_of_text", "eot": "eot_id", "eom": "eom_id"}

_NAMES = {offset: name for name, offset in SPECIALS.items()}


class UnknownSpecialError(KeyError):
    """A special token's name that is in no table; lists the known ones."""


@dataclass(frozen=True, slots=True)
class Special:
    """A special token among text pieces, by its name in `SPECIALS`, `DEBUGGER` or `ALIASES`."""

    name: str


Piece = str | Special
"""What a document is made of before tokenisation: ordinary text or a special token."""


def special_text(offset: int) -> str:
    """Return the reserved token at ``offset`` as tokenizers' files have it: ``<|frame_sep|>``."""
    return f"<|{_NAMES.get(offset, f'reserved_special_token_{offset}')}|>"


def piece_text(piece: Piece) -> str:
    """Return a piece as people read it, a special token by the name it is known by here."""
    if isinstance(piece, str):
        return piece
    return f"<|{ALIASES.get(piece.name, piece.name)}|>"


def special_offset(name: str) -> int:
    """Return the offset of a special token by its name or alias."""
    if name in DEBUGGER:
        return DEBUGGER[name]
    try:
        return SPECIALS[ALIASES.get(name, name)]
    except KeyError:
        known = ", ".join([*ALIASES, *SPECIALS, *DEBUGGER])
        raise UnknownSpecialError(f"no special token is called {name!r}; known: {known}") from None
