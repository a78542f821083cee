"""The byte-level BPE inside a tokenizer: how text is split, how it is built and trained.

A token of the backend is a string over a byte-level alphabet: 256 printable characters, one for
each byte (GPT-2's table). No special token is known here until `add_reserved`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, processors, trainers

from model.tokens.specials import RESERVED, special_text

LLAMA3_REGEX = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# An unchanged variable in a frame costs two tokens: its name and `": "..", "`. Digits stand alone.
JSON_DIGITS_REGEX = r'": "\.\."(?:, "|\}?)|": "|", "|\{"|"\}|' + LLAMA3_REGEX.replace(
    r"\p{N}{1,3}", r"\p{N}"
)

PreTokenizer = Literal["json_digits", "llama3"]
PRE_TOKENIZERS: dict[str, str] = {"json_digits": JSON_DIGITS_REGEX, "llama3": LLAMA3_REGEX}


def byte_of_character() -> dict[str, int]:
    """Return the byte that each character of the byte-level alphabet stands for."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(byte): byte for byte in printable}
    for shift, byte in enumerate(b for b in range(256) if b not in set(printable)):
        table[chr(256 + shift)] = byte
    return table


def build(model: models.BPE, pattern: str) -> tokenizers.Tokenizer:
    """Return a backend that splits text by the regex ``pattern`` and encodes it with ``model``."""
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    return backend


def add_reserved(backend: tokenizers.Tokenizer) -> None:
    """Append the reserved ids to the vocabulary; `transformers` then starts texts with the first.

    `model.tokens.Tokenizer` never asks the backend to add specials.
    """
    backend.add_special_tokens(
        [AddedToken(special_text(i), special=True, normalized=False) for i in range(RESERVED)]
    )
    bos = special_text(0)
    backend.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A $B", special_tokens=[(bos, backend.token_to_id(bos))]
    )


def train(texts: Iterator[str], vocab_size: int, pre_tokenizer: str) -> tokenizers.Tokenizer:
    """Return a backend with up to ``vocab_size`` regular tokens, learnt from ``texts``."""
    if pre_tokenizer not in PRE_TOKENIZERS:
        raise ValueError(
            f"pre_tokenizer is {pre_tokenizer!r}; expected one of {sorted(PRE_TOKENIZERS)}"
        )
    backend = build(models.BPE(), PRE_TOKENIZERS[pre_tokenizer])
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    clean = (text.encode("utf-8", "replace").decode() for text in texts)
    backend.train_from_iterator(clean, trainer)
    add_reserved(backend)
    return backend
