"""CWM's tokens: a byte-level BPE with 256 reserved ids after the regular vocabulary.

Ordinary text never becomes a special token: a literal ``<|frame_sep|>`` in a source file is encoded
as the characters it is. Special tokens enter only as `Special` pieces, through `Tokenizer.special`
or `Tokenizer.encode_pieces`.

Any Python string survives the round trip. What UTF-8 cannot hold (a lone surrogate) is encoded as
the three bytes of ``surrogatepass`` and comes back as it was; bytes that are no text at all decode
to U+FFFD.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, processors, trainers

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

MAX_CHARACTERS = 400_000
"""Longer texts are cut into pieces of this many characters, as CWM does."""

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

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
    "{% if message['role'].startswith('tool') %}{{ message['content'] }}"
    "{% else %}{{ message['content'] | trim }}{% endif %}"
    "{{ '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
"""The layout of `model.chat` for `transformers`, which does parse specials out of bodies."""

_SURROGATES = re.compile("[\ud800-\udfff]+")


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
    for name, known in SPECIALS.items():
        if known == offset:
            return f"<|{name}|>"
    return f"<|reserved_special_token_{offset}|>"


def special_offset(name: str) -> int:
    """Return the offset of a special token by its name or alias."""
    try:
        return SPECIALS[ALIASES.get(name, name)]
    except KeyError:
        known = ", ".join([*ALIASES, *SPECIALS])
        raise UnknownSpecialError(f"no special token is called {name!r}; known: {known}") from None


def _byte_of_character() -> dict[str, int]:
    """Return the byte that each character of the byte-level alphabet stands for (GPT-2's table)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(byte): byte for byte in printable}
    for shift, byte in enumerate(b for b in range(256) if b not in set(printable)):
        table[chr(256 + shift)] = byte
    return table


def _undecodable(error: UnicodeError) -> tuple[str | bytes, int]:
    """Decode lone surrogates as they were, anything else that is no UTF-8 as U+FFFD."""
    try:
        return codecs.lookup_error("surrogatepass")(error)
    except UnicodeDecodeError as broken:
        return "\ufffd", broken.end


codecs.register_error("surrogate-or-replace", _undecodable)


class Tokenizer:
    """A trained tokenizer: text to ids and back, special tokens by name."""

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self.backend = backend
        self.backend.encode_special_tokens = True  # specials are never parsed out of text
        self.regular_size: int = backend.get_vocab_size(with_added_tokens=False)

    @classmethod
    def load(cls, folder: Path) -> Tokenizer:
        """Read ``tokenizer.json`` in ``folder``."""
        return cls(tokenizers.Tokenizer.from_file(str(Path(folder) / "tokenizer.json")))

    def save(self, folder: Path) -> None:
        """Write the files that `load` and ``transformers.AutoTokenizer`` read."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.backend.save(str(folder / "tokenizer.json"))
        names = {
            "bos_token": special_text(0),
            "eos_token": special_text(1),
            "pad_token": special_text(SPECIALS["pad"]),
        }
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
            "model_input_names": ["input_ids", "attention_mask"],
            "chat_template": CHAT_TEMPLATE,
            **names,
        }
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
        (folder / "special_tokens_map.json").write_text(json.dumps(names, indent=1) + "\n")

    @property
    def vocab_size(self) -> int:
        """Regular tokens and the 256 reserved ids."""
        return self.regular_size + RESERVED

    def special(self, name: str) -> int:
        """Return the id of a special token by its name or alias (``"frame_sep"``, ``"bos"``)."""
        return self.regular_size + special_offset(name)

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
            rest = text[start : start + MAX_CHARACTERS]
            while found := _SURROGATES.search(rest):
                ids += self.backend.encode(rest[: found.start()], add_special_tokens=False).ids
                ids += [self._byte_ids[b] for b in found.group().encode("utf-8", "surrogatepass")]
                rest = rest[found.end() :]
            ids += self.backend.encode(rest, add_special_tokens=False).ids
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

        An id beyond the vocabulary, which a model with a padded one may write, becomes U+FFFD.
        """
        kept = (i for i in ids if not (skip_specials and i >= self.regular_size))
        replacement = "\ufffd".encode()
        joined = b"".join(self.token_bytes(i) if i < self.vocab_size else replacement for i in kept)
        return joined.decode("utf-8", "surrogate-or-replace")

    def token_bytes(self, token: int) -> bytes:
        """Return the UTF-8 bytes of one token; of a special token, its name's."""
        if token < self.regular_size:
            return self._bytes[token]
        if token < self.vocab_size:
            return special_text(token - self.regular_size).encode()
        raise IndexError(f"token {token} is outside the vocabulary of {self.vocab_size}")

    @cached_property
    def _bytes(self) -> list[bytes]:
        table = _byte_of_character()
        tokens = [str(self.backend.id_to_token(i)) for i in range(self.regular_size)]
        return [bytes(table[character] for character in token) for token in tokens]

    @cached_property
    def _byte_ids(self) -> dict[int, int]:
        return {token[0]: i for i, token in enumerate(self._bytes) if len(token) == 1}


def train_tokenizer(
    texts: Iterator[str], vocab_size: int, pre_tokenizer: PreTokenizer
) -> Tokenizer:
    """Train on ``texts``; ``vocab_size`` counts regular tokens, the 256 reserved ids come on top.

    A small corpus may run out of pairs that occur twice: the vocabulary is then smaller.
    """
    if pre_tokenizer not in PRE_TOKENIZERS:
        raise ValueError(
            f"pre_tokenizer is {pre_tokenizer!r}; expected one of {sorted(PRE_TOKENIZERS)}"
        )
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRE_TOKENIZERS[pre_tokenizer]), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    clean = (text.encode("utf-8", "replace").decode() for text in texts)
    backend.train_from_iterator(clean, trainer)
    backend.add_special_tokens(
        [AddedToken(special_text(i), special=True, normalized=False) for i in range(RESERVED)]
    )
    bos = special_text(0)
    backend.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A $B", special_tokens=[(bos, backend.token_to_id(bos))]
    )
    return Tokenizer(backend)
