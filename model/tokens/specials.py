"""The 256 reserved ids: CWM's names and offsets, and how a document names them.

Names and offsets are those of ``cwm/text/tokenizers.py`` in facebookresearch/cwm; what a user would
otherwise type, ``bos`` and ``eot``, are aliases.
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

ALIASES = {"bos": "begin_of_text", "eos": "end_of_text", "eot": "eot_id", "eom": "eom_id"}

_NAMES = {offset: name for name, offset in SPECIALS.items()}


class UnknownSpecialError(KeyError):
    """A special token's name that CWM does not know; lists the known ones."""


@dataclass(frozen=True, slots=True)
class Special:
    """A special token among text pieces, by its name in `SPECIALS` or `ALIASES`."""

    name: str


Piece = str | Special
"""What a document is made of before tokenisation: ordinary text or a special token."""


def special_text(offset: int) -> str:
    """Return the text form of the reserved token at ``offset``, such as ``<|frame_sep|>``."""
    return f"<|{_NAMES.get(offset, f'reserved_special_token_{offset}')}|>"


def special_offset(name: str) -> int:
    """Return the offset of a special token by its name or alias."""
    try:
        return SPECIALS[ALIASES.get(name, name)]
    except KeyError:
        known = ", ".join([*ALIASES, *SPECIALS])
        raise UnknownSpecialError(f"no special token is called {name!r}; known: {known}") from None
