"""Reading Meta's ``tokenizer.model``: Llama 3's regular tokens in the format of tiktoken.

One token per line, ordered by rank: its bytes in base64, a space, its rank. The rank is the id, and
tiktoken merges by rank alone: of all neighbours in a word whose bytes together are a token, those
that make the token of the lowest rank, the leftmost first; a word that is a token is that token.

A BPE of `tokenizers` wants merges instead. Here every token gets the one merge that makes it when
its own bytes are encoded. No other is ever used: what happens inside a token before it is complete
does not depend on what stands around it, since nothing has been merged across its ends.
"""

from __future__ import annotations

import base64
from itertools import pairwise
from pathlib import Path

import tokenizers
from tokenizers import models

from model.tokens.bpe import LLAMA3_REGEX, add_reserved, build, byte_of_character


class TokenizerFileError(ValueError):
    """A tokenizer's file that is missing or not what it should be; says which, where and why."""


def read_tokenizer_model(file: Path) -> tokenizers.Tokenizer:
    """Return the backend of a ``tokenizer.model``, the 256 reserved ids after its tokens.

    Raises `TokenizerFileError` with the line that is malformed.
    """
    tokens = _read_tokens(file)
    ranks = {token: rank for rank, token in enumerate(tokens)}
    character = {byte: shown for shown, byte in byte_of_character().items()}

    def show(token: bytes) -> str:
        return "".join([character[byte] for byte in token])

    merges = [
        (show(left), show(right)) for token in tokens for left, right in _last_merge(token, ranks)
    ]
    vocabulary = {show(token): rank for token, rank in ranks.items()}
    backend = build(models.BPE(vocabulary, merges, ignore_merges=True), LLAMA3_REGEX)
    add_reserved(backend)
    return backend


def _read_tokens(file: Path) -> list[bytes]:
    """Return the bytes of every token in the order of the ranks."""
    seen: dict[bytes, int] = {}
    for number, line in enumerate(Path(file).read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        token, reason = _read_line(line, rank=len(seen))
        if token in seen:
            reason = f"repeats the token of rank {seen[token]}"
        if reason:
            raise TokenizerFileError(
                f"{file}, line {number}: {reason}; expected a token in base64, a space and the "
                f"rank {len(seen)}"
            )
        seen[token] = len(seen)
    missing = [byte for byte in range(256) if bytes([byte]) not in seen]
    if missing:
        raise TokenizerFileError(
            f"{file}: no token for {len(missing)} of the 256 bytes, the first {missing[0]:#04x}; "
            "expected the whole file of a byte-level tokenizer"
        )
    return list(seen)


def _read_line(line: bytes, rank: int) -> tuple[bytes, str]:
    """Return a line's token, and what is wrong with the line or ""."""
    parts = line.split()
    if len(parts) != 2:
        return b"", f"has {len(parts)} fields"
    try:
        token = base64.b64decode(parts[0], validate=True)
    except ValueError:
        return b"", "the token is not base64"
    if not token:
        return b"", "the token is empty"
    if parts[1] != str(rank).encode():
        return b"", f"the rank is {parts[1].decode('ascii', 'backslashreplace')}"
    return token, ""


def _last_merge(token: bytes, ranks: dict[bytes, int]) -> list[tuple[bytes, bytes]]:
    """Return the merge that completes ``token``; none if it has one byte or is only a whole word.

    Such words exist: tokens that no merges lead to.
    """
    parts = [token[i : i + 1] for i in range(len(token))]
    none = len(ranks)
    while len(parts) > 2:
        joined = [ranks.get(left + right, none) for left, right in pairwise(parts)]
        at = joined.index(min(joined))
        if joined[at] == none:
            return []
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return [(parts[0], parts[1])] if len(parts) == 2 else []
