"""Tokenised documents on disk, written once and read by memory map.

A token file is a directory::

    tokens.bin  uint32, little endian, all documents one after the other
    loss.bin    uint8 per token: loss weight, in 255ths, of predicting THAT token (0 = masked)
    ends.npy    int64: exclusive end of every document in tokens.bin
    keys.txt    one provenance key per document and line (a document's sha256, a trace's key, …)
    meta.json   {"rendering", "documents", "tokens", "vocab_size", "bytes" (of the texts, UTF-8), …}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FULL_LOSS = 255
"""The loss weight 1.0 as it is stored."""


class TokenFileError(ValueError):
    """A token file is torn or was written wrongly; says which part disagrees with which."""


class TokenWriter:
    """Writes a token file document by document; `close` makes it readable.

    Until then there is no ends.npy and nothing can be read.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.tokens = 0
        self._ends: list[int] = []
        self._largest = -1
        self._token_file = (folder / "tokens.bin").open("wb")
        self._loss_file = (folder / "loss.bin").open("wb")
        self._key_file = (folder / "keys.txt").open("w", encoding="utf-8")

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
        self._token_file.write(tokens.tobytes())
        self._loss_file.write(loss.tobytes())
        self._key_file.write(key + "\n")
        self.tokens += len(tokens)
        self._largest = max(self._largest, int(tokens.max()))
        self._ends.append(self.tokens)

    def close(self, meta: Mapping[str, Any]) -> None:
        """Finish the file. ``meta`` must hold "vocab_size"; the counts are added to it."""
        if self._largest >= meta["vocab_size"]:
            raise TokenFileError(
                f"{self.folder}: token id {self._largest} in a vocabulary of {meta['vocab_size']}"
            )
        for file in (self._token_file, self._loss_file, self._key_file):
            file.close()
        np.save(self.folder / "ends.npy", np.array(self._ends, dtype=np.int64))
        counts = {"documents": self.documents, "tokens": self.tokens}
        (self.folder / "meta.json").write_text(
            json.dumps({**meta, **counts}, indent=1, sort_keys=True) + "\n"
        )


class TokenFile:
    """A token file opened for reading; documents are views into memory maps.

    ``file[i]`` is ``(ids uint32 [n], loss_255 uint8 [n])``; ``file.ends`` and ``file.lengths`` are
    int64 [documents].
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.meta: dict[str, Any] = json.loads((folder / "meta.json").read_text())
        self.ends: NDArray[np.int64] = np.load(folder / "ends.npy")
        self.tokens = _map(folder / "tokens.bin", "<u4")
        self.loss = _map(folder / "loss.bin", "u1")
        last = int(self.ends[-1]) if len(self.ends) else 0
        if not len(self.tokens) == len(self.loss) == last == self.meta["tokens"]:
            raise TokenFileError(
                f"{folder} is torn: tokens.bin has {len(self.tokens)} tokens, loss.bin "
                f"{len(self.loss)}, ends.npy {last}, meta.json {self.meta['tokens']}"
            )

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
        return (self.folder / "keys.txt").read_text(encoding="utf-8").split("\n")[:-1]


def _map(file: Path, dtype: str) -> NDArray[Any]:
    # numpy cannot map an empty file
    return np.memmap(file, dtype=dtype, mode="r") if file.stat().st_size else np.empty(0, dtype)
