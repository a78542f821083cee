"""CWM's tokens: a byte-level BPE with 256 reserved ids after the regular vocabulary.

::

    specials.py     the reserved ids: names, offsets, and how a document names them
    tokenizer.py    `Tokenizer`: text to ids and back, loading and saving
    bpe.py          building and training the byte-level BPE inside
    llama3.py       reading Meta's ``tokenizer.model``
    hub.py          what `transformers` reads beside ``tokenizer.json``; the chat template

Ordinary text never becomes a special token: a literal ``<|frame_sep|>`` in a source file is encoded
as the characters it is. Special tokens enter only as `Special` pieces, through `Tokenizer.special`
or `Tokenizer.encode_pieces`::

    tokenizer = Tokenizer.load(folder)  # tokenizer.json, or the tokenizer.model that Llama 3 has
    ids = tokenizer.encode_pieces([Special("bos"), "x = 1\\n", Special("eos")])
"""

from __future__ import annotations

from model.tokens.bpe import PRE_TOKENIZERS, PreTokenizer
from model.tokens.llama3 import TokenizerFileError
from model.tokens.specials import (
    ALIASES,
    DEBUGGER,
    RESERVED,
    SPECIALS,
    Piece,
    Special,
    UnknownSpecialError,
    piece_text,
    special_offset,
    special_text,
)
from model.tokens.tokenizer import MAX_CHARACTERS, Tokenizer, train_tokenizer

__all__ = [
    "ALIASES",
    "DEBUGGER",
    "MAX_CHARACTERS",
    "PRE_TOKENIZERS",
    "RESERVED",
    "SPECIALS",
    "Piece",
    "PreTokenizer",
    "Special",
    "Tokenizer",
    "TokenizerFileError",
    "UnknownSpecialError",
    "piece_text",
    "special_offset",
    "special_text",
    "train_tokenizer",
]
