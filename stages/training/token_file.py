"""Tokenised documents on disk, written once and read by memory map.

A token file is a directory::

    tokens.bin  uint32, little endian, all documents one after the other
    loss.bin    uint8 per token: loss weight, in 255ths, of predicting THAT token (0 = masked)
    ends.npy    int64: exclusive end of every document in tokens.bin
    keys.txt    one provenance key per document and line (a document's sha256, a trace's key, …)
    meta.json   {"rendering", "documents", "tokens", "vocab_size", "bytes" (of the texts, UTF-8),
                 "sha256" (of each of the files above), …}

meta.json is written last: a directory without it is no token file. Opening one compares the sizes,
which finds a torn file, and reads ends.npy; `TokenFile.verify` reads everything, which finds a
flipped bit.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster.dag.files import file_digest, write_json

FULL_LOSS = 255
"""The loss weight 1.0 as it is stored."""
CONTENT = ("tokens.bin", "loss.bin", "ends.npy", "keys.txt")
"""The files whose sha256 meta.json holds."""


class TokenFileError(ValueError):
    """A token file is torn, damaged or was written wrongly; says which part disagrees."""


class TokenIdError(TokenFileError):
    """A token id is beyond the vocabulary; names the file, the document and the id."""


class TokenWriter:
    """Writes a token file document by document; `close` makes it readable.

    Until then there is no meta.json and nothing can be read.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "meta.json").unlink(missing_ok=True)
        self.folder = folder
        self.tokens = 0
        self._ends: list[int] = []
        self._largest = -1
        self._streams = {name: (folder / name).open("wb") for name in CONTENT}
        self._digests = {name: hashlib.sha256() for name in CONTENT}

    @property
    def documents(self) -> int:
        """How many documents were added."""
        return len(self._ends)

    def add(self, ids: Sequence[int], loss_255: Sequence[int], key: str) -> None:
        """Append a document: token ids, their loss weights (0…255) and where it came from.

        Raises `TokenFileError` when the two differ in length or are empty, when a value is out of
        range, and when the key has a line break.
        """
        if len(ids) != len(loss_255) or len(ids) == 0:
            raise TokenFileError(
                f"document {key!r}: {len(ids)} tokens with {len(loss_255)} loss weights; "
                "both must be equally long and not empty"
            )
        if "\n" in key:
            raise TokenFileError(f"document key {key!r} contains a line break")
        try:
            tokens, loss = np.array(ids, dtype="<u4"), np.array(loss_255, dtype=np.uint8)
        except OverflowError as error:
            raise TokenFileError(
                f"document {key!r}: a token id or loss weight is out of range"
            ) from error
        self._write("tokens.bin", tokens.tobytes())
        self._write("loss.bin", loss.tobytes())
        self._write("keys.txt", f"{key}\n".encode())
        self.tokens += len(tokens)
        self._largest = max(self._largest, int(tokens.max()))
        self._ends.append(self.tokens)

    def close(self, meta: Mapping[str, Any]) -> None:
        """Finish the file. ``meta`` must hold "vocab_size"; counts and digests are added to it.

        Raises `TokenIdError` when a token id is beyond the vocabulary; nothing can be read then.
        """
        if self._largest >= meta["vocab_size"]:
            raise TokenIdError(
                f"{self.folder}: token id {self._largest} in a vocabulary of {meta['vocab_size']}"
            )
        self._write("ends.npy", _npy(np.array(self._ends, dtype="<i8")))
        for stream in self._streams.values():
            stream.flush()
            os.fsync(stream.fileno())
            stream.close()
        digests = {name: digest.hexdigest() for name, digest in self._digests.items()}
        counts = {"documents": self.documents, "tokens": self.tokens, "sha256": digests}
        write_json(self.folder / "meta.json", {**meta, **counts})

    def _write(self, name: str, data: bytes) -> None:
        self._streams[name].write(data)
        self._digests[name].update(data)


class TokenFile:
    """A token file opened for reading; documents are views into memory maps.

    ``file[i]`` is ``(ids uint32 [n], loss_255 uint8 [n])``; ``file.ends`` and ``file.lengths`` are
    int64 [documents]. Raises `TokenFileError` for a directory that is no token file or a torn one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.meta: dict[str, Any] = _meta(folder)
        sizes = {name: _size(folder / name) for name in CONTENT}
        documents, tokens = self.meta["documents"], self.meta["tokens"]
        # read whole in any case: so a torn or damaged one is found here
        self._check_digest("ends.npy")
        self.ends: NDArray[np.int64] = np.load(folder / "ends.npy")
        last = int(self.ends[-1]) if len(self.ends) else 0
        found = (sizes["tokens.bin"] / 4, sizes["loss.bin"], last, len(self.ends))
        if found != (tokens, tokens, tokens, documents):
            raise TokenFileError(
                f"{folder} is torn: tokens.bin has {found[0]:g} tokens, loss.bin {found[1]}, "
                f"ends.npy {last} in {len(self.ends)} documents; meta.json says {tokens} in "
                f"{documents}. Make it again"
            )
        self.tokens = _map(folder / "tokens.bin", "<u4")
        self.loss = _map(folder / "loss.bin", "u1")

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
        if not 0 <= index < len(self.ends):  # also what ends a for-loop over the file
            raise IndexError(f"document {index} of {len(self.ends)}")
        start = int(self.ends[index - 1]) if index else 0
        end = int(self.ends[index])
        return self.tokens[start:end], self.loss[start:end]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of tokens of every document."""
        return np.diff(self.ends, prepend=0)

    @property
    def keys(self) -> list[str]:
        """The provenance key of every document."""
        # bytes: reading text would take a carriage return in a key for the end of a line
        return (self.folder / "keys.txt").read_bytes().decode().split("\n")[:-1]

    @property
    def digest(self) -> str:
        """The sha256 of the content, from the digests that were taken while it was written."""
        digests = self.meta["sha256"]
        return hashlib.sha256("".join(digests[name] for name in CONTENT).encode()).hexdigest()

    def document_at(self, token: int) -> int:
        """Return the index of the document that holds the token at this place in the file."""
        return int(np.searchsorted(self.ends, token, side="right"))

    def verify(self) -> None:
        """Read everything: digests as recorded, ids within the vocabulary, a key per document.

        Raises `TokenFileError` or `TokenIdError`, which name the file or the document.
        """
        for name in CONTENT:
            self._check_digest(name)
        if len(self.tokens):
            self.check_ids(0, len(self.tokens))
        if len(self.keys) != len(self):
            raise TokenFileError(
                f"{self.folder}: {len(self.keys)} keys for {len(self)} documents in keys.txt"
            )

    def _check_digest(self, name: str) -> None:
        recorded, found = self.meta["sha256"][name], file_digest(self.folder / name)
        if found != recorded:
            raise TokenFileError(
                f"{self.folder / name} is damaged: its sha256 is {found[:12]}…, when it was "
                f"written {recorded[:12]}…. Make it again"
            )

    def check_ids(self, start: int, end: int) -> None:
        """Raise `TokenIdError`, which names the document, for an id beyond the vocabulary among
        tokens ``start … end - 1``."""
        ids, vocabulary = self.tokens[start:end], self.meta["vocab_size"]
        if int(ids.max()) >= vocabulary:
            place = int(np.argmax(ids >= vocabulary))
            key = self.keys[self.document_at(start + place)]
            raise TokenIdError(
                f"{self.folder}: document {key!r} holds token id {ids[place]} in a vocabulary of "
                f"{vocabulary}: the file is damaged or of another tokenizer. Make it again"
            )


def _meta(folder: Path) -> dict[str, Any]:
    file = folder / "meta.json"
    try:
        meta: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        raise TokenFileError(
            f"{folder} is no token file, or writing it did not end: it has no meta.json"
        ) from None
    except ValueError as error:
        raise TokenFileError(f"{file} is no JSON: {error}") from error
    if missing := {"documents", "tokens", "vocab_size", "sha256"} - meta.keys():
        raise TokenFileError(f"{file} lacks {', '.join(sorted(missing))}. Make it again")
    return meta


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        raise TokenFileError(f"{file.parent} is torn: it has no {file.name}") from None


def _npy(array: NDArray[Any]) -> bytes:
    """Return the array as np.save writes it."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _map(file: Path, dtype: str) -> NDArray[Any]:
    if not file.stat().st_size:  # numpy cannot map an empty file
        return np.empty(0, dtype)
    # as a plain array over the map: numpy runs Python code for each slice of a memmap
    return np.memmap(file, dtype=dtype, mode="r").view(np.ndarray)
