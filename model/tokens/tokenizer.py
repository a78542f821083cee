"""A tokenizer: text to ids and back, special tokens by name.

Any Python string survives the round trip. What UTF-8 cannot hold (a lone surrogate) is encoded as
the three bytes of ``surrogatepass`` and comes back as it was; bytes that are no text at all decode
to U+FFFD.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import tokenizers

from model.tokens import bpe, hub
from model.tokens.llama3 import TokenizerFileError, read_tokenizer_model
from model.tokens.specials import RESERVED, Piece, special_offset, special_text

MAX_CHARACTERS = 400_000
"""Longer texts are cut into pieces of this many characters, as CWM does."""

# a file that has these where CWM has them has the whole block, whatever else it calls the rest
_LANDMARKS = ("begin_of_text", "eot_id", "frame_sep", "trace_context_start")

_SURROGATES = re.compile("[\ud800-\udfff]+")
_SURROGATE_BYTES = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_REPLACEMENT = "\ufffd".encode()


def _undecodable(error: UnicodeError) -> tuple[str | bytes, int]:
    """Decode a lone surrogate as it was, anything else that is no UTF-8 as U+FFFD."""
    assert isinstance(error, UnicodeDecodeError)
    if found := _SURROGATE_BYTES.match(error.object, error.start):
        return found.group().decode("utf-8", "surrogatepass"), found.end()
    return "\ufffd", error.end


codecs.register_error("surrogate-or-replace", _undecodable)


class Tokenizer:
    """A trained tokenizer: text to ids and back, special tokens by name."""

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self.backend = backend
        self.backend.encode_special_tokens = True  # specials are never parsed out of text
        self.regular_size: int = backend.get_vocab_size(with_added_tokens=False)

    @classmethod
    def load(cls, folder: Path) -> Tokenizer:
        """Read ``tokenizer.json`` in ``folder``, else Llama 3's ``tokenizer.model``.

        Raises `TokenizerFileError` when there is neither, when the file is malformed, or when its
        special tokens are not where CWM has them.
        """
        file = Path(folder) / "tokenizer.json"
        if not file.exists():
            file = Path(folder) / "tokenizer.model"
            if not file.exists():
                raise TokenizerFileError(f"{folder} has no tokenizer.json and no tokenizer.model")
            return cls(read_tokenizer_model(file))
        try:
            tokenizer = cls(tokenizers.Tokenizer.from_buffer(file.read_bytes()))
        except ValueError as error:
            raise TokenizerFileError(f"{file} is not a tokenizer's: {error}") from error
        for offset in map(special_offset, _LANDMARKS):
            name, expected = special_text(offset), tokenizer.regular_size + offset
            if (found := tokenizer.backend.token_to_id(name)) != expected:
                raise TokenizerFileError(
                    f"{file}: the id of {name} is {found}; CWM's is {expected}, its regular tokens "
                    f"and {offset}"
                )
        return tokenizer

    def save(self, folder: Path) -> None:
        """Write the files that `load` and ``transformers.AutoTokenizer`` read."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.backend.save(str(folder / "tokenizer.json"))
        hub.write_config(folder)

    @property
    def vocab_size(self) -> int:
        """Regular tokens and the 256 reserved ids."""
        return self.regular_size + RESERVED

    def special(self, name: str) -> int:
        """Return the id of a special token by its name or alias (``"frame_sep"``, ``"bos"``)."""
        return self.regular_size + special_offset(name)

    @cached_property
    def digest(self) -> str:
        """The sha256 of all that decides which ids a text gets, however the file is written."""
        record = json.loads(self.backend.to_str())
        names = ("model", "normalizer", "pre_tokenizer", "added_tokens")
        parts = json.dumps([record[name] for name in names], sort_keys=True)
        return hashlib.sha256(parts.encode()).hexdigest()

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """The ids that end a generation: end of message, end of turn, end of text."""
        return tuple(self.special(name) for name in ("eom", "eot", "eos"))

    def encode(self, text: str) -> list[int]:
        """Encode ordinary text; no special token is ever recognised in it or added to it."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Encode many texts at once, each as `encode` does."""
        if any(len(text) > MAX_CHARACTERS or _SURROGATES.search(text) for text in texts):
            return [self._encode_odd(text) for text in texts]
        found = self.backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in found]

    def _encode_odd(self, text: str) -> list[int]:
        """Encode a text that is very long or holds lone surrogates."""
        ids: list[int] = []
        for start in range(0, len(text), MAX_CHARACTERS):
            part, at = text[start : start + MAX_CHARACTERS], 0
            for found in _SURROGATES.finditer(part):
                ids += self.backend.encode(part[at : found.start()], add_special_tokens=False).ids
                ids += [self._byte_ids[b] for b in found.group().encode("utf-8", "surrogatepass")]
                at = found.end()
            ids += self.backend.encode(part[at:], add_special_tokens=False).ids
        return ids

    def encode_pieces(self, pieces: Iterable[Piece]) -> list[int]:
        """Encode a document: each text piece by itself, each `Special` as its id."""
        pieces = list(pieces)
        texts = iter(self.encode_batch([piece for piece in pieces if isinstance(piece, str)]))
        ids: list[int] = []
        for piece in pieces:
            ids += next(texts) if isinstance(piece, str) else [self.special(piece.name)]
        return ids

    def decode(self, ids: Iterable[int], *, skip_specials: bool = False) -> str:
        """Return the text of ``ids``; special tokens appear by their names unless skipped.

        An id outside the vocabulary, which a model with a padded one may write, becomes U+FFFD.
        """
        kept = (i for i in ids if i < self.regular_size) if skip_specials else ids
        table, size = self._bytes, self.vocab_size
        joined = b"".join([table[i] if 0 <= i < size else _REPLACEMENT for i in kept])
        return joined.decode("utf-8", "surrogate-or-replace")

    def token_bytes(self, token: int) -> bytes:
        """Return the UTF-8 bytes of one token; of a special token, its name's."""
        if 0 <= token < self.vocab_size:
            return self._bytes[token]
        raise IndexError(f"token {token} is outside the vocabulary of {self.vocab_size}")

    @cached_property
    def _bytes(self) -> list[bytes]:
        table = bpe.byte_of_character()
        tokens = [str(self.backend.id_to_token(i)) for i in range(self.regular_size)]
        regular = [bytes([table[character] for character in token]) for token in tokens]
        return regular + [special_text(offset).encode() for offset in range(RESERVED)]

    @cached_property
    def _byte_ids(self) -> dict[int, int]:
        regular = enumerate(self._bytes[: self.regular_size])
        return {token[0]: i for i, token in regular if len(token) == 1}


def train_tokenizer(
    texts: Iterator[str], vocab_size: int, pre_tokenizer: bpe.PreTokenizer
) -> Tokenizer:
    """Train on ``texts``; ``vocab_size`` counts regular tokens, the 256 reserved ids come on top.

    A small corpus may run out of pairs that occur twice: the vocabulary is then smaller.
    """
    return Tokenizer(bpe.train(texts, vocab_size, pre_tokenizer))
