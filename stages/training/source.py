"""A data set as training draws from it: documents cut into pieces that fit the context."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.training.settings import MixEntry
from stages.training.token_file import TokenFile


class EmptySourceError(ValueError):
    """A data set of the mix has nothing that fits the context; says how long that is."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Some pieces of one data set, as parallel int64 arrays [pieces]."""

    document: NDArray[np.int64]
    start: NDArray[np.int64]
    """First token, counted from the beginning of the token file."""
    end: NDArray[np.int64]
    """One past the last token."""
    document_end: NDArray[np.int64]
    """One past the document's last token."""


class Source:
    """The pieces of one token file: documents no longer than the context whole, others by ``long``.

    A document that is split gives pieces of (nearly) equal length, so that none is a short
    remainder.
    """

    def __init__(self, file: TokenFile, entry: MixEntry, context_length: int) -> None:
        self.file = file
        self.name = entry.dataset
        lengths = file.lengths
        self.fitting = int((lengths <= context_length).sum())
        if entry.long == "split":
            pieces = -(-lengths // context_length)
        elif entry.long == "truncate":
            pieces, lengths = np.ones_like(lengths), np.minimum(lengths, context_length)
        else:
            pieces = (lengths <= context_length).astype(np.int64)
        self._used_lengths = lengths
        self._pieces = pieces
        self._first = np.concatenate([[0], np.cumsum(pieces)])
        if not len(self):
            raise EmptySourceError(
                f"data set {self.name!r} ({file.folder}): none of its {len(file)} documents fits "
                f"the context of {context_length} tokens; make that longer, or set its weight to 0"
            )

    def __len__(self) -> int:
        return int(self._first[-1])

    @property
    def mean_tokens(self) -> float:
        """Mean length of a piece."""
        return float((self._used_lengths * (self._pieces > 0)).sum()) / len(self)

    def pieces(self, indices: NDArray[np.int64]) -> Pieces:
        """Return the pieces with these indices (0 … len - 1)."""
        document = np.searchsorted(self._first, indices, side="right") - 1
        place = indices - self._first[document]
        count, length = self._pieces[document], self._used_lengths[document]
        base = self.file.ends[document] - self.file.lengths[document]
        return Pieces(
            document=document,
            start=base + place * length // count,
            end=base + (place + 1) * length // count,
            document_end=self.file.ends[document],
        )
