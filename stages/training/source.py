"""A data set as training draws from it: documents cut into pieces that fit the context."""

from __future__ import annotations

from copy import copy
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
    """The pieces of one token file: documents no longer than the context whole, others by
    ``entry.long``.

    A document that is split gives pieces of (nearly) equal length, so that none is a short
    remainder. Raises `EmptySourceError` when there is no piece.
    """

    def __init__(self, file: TokenFile, entry: MixEntry, context_length: int) -> None:
        self.file = file
        self.entry = entry
        self.context_length = context_length
        lengths = file.lengths
        self.fitting = int((lengths <= context_length).sum())
        if entry.long == "split":
            pieces = -(-lengths // context_length)
        elif entry.long == "truncate":
            pieces, lengths = np.ones_like(lengths), np.minimum(lengths, context_length)
        else:
            pieces = (lengths <= context_length).astype(np.int64)
        self._keep(np.flatnonzero(pieces), lengths, pieces)
        if not len(self):
            raise EmptySourceError(
                f"data set {self.name!r} ({file.folder}): none of its {len(file)} documents fits "
                f"the context of {context_length} tokens; make that longer, or set its weight to 0"
            )

    def _keep(
        self, rows: NDArray[np.int64], lengths: NDArray[np.int64], pieces: NDArray[np.int64]
    ) -> None:
        # parallel arrays over the documents that have a piece
        self._document = rows
        self._lengths = lengths[rows]
        self._pieces = pieces[rows]
        self._first = np.concatenate([[0], np.cumsum(self._pieces)])
        self.tokens = int(self._lengths.sum())
        """Tokens of one pass."""

    def within(self, above: int, up_to: int) -> Source:
        """Return the part whose pieces are longer than ``above`` and no longer than ``up_to``
        tokens; a document's pieces stay together. It may be empty."""
        if above == 0 and up_to >= self.context_length:
            return self
        longest = -(-self._lengths // self._pieces)
        inside = np.flatnonzero((longest > above) & (longest <= up_to))
        part, document = copy(self), self._document[inside]
        part._keep(inside, self._lengths, self._pieces)
        part._document = document
        return part

    @property
    def name(self) -> str:
        """The data set's name in the mix."""
        return self.entry.dataset

    @property
    def documents(self) -> int:
        """Documents that have a piece."""
        return len(self._document)

    @property
    def mean_tokens(self) -> float:
        """Mean length of a piece."""
        return self.tokens / len(self)

    def __len__(self) -> int:
        return int(self._first[-1])

    def pieces(self, indices: NDArray[np.int64]) -> Pieces:
        """Return the pieces with these indices (0 … len - 1)."""
        row = np.searchsorted(self._first, indices, side="right") - 1
        place = indices - self._first[row]
        count, length, document = self._pieces[row], self._lengths[row], self._document[row]
        end = self.file.ends[document]
        base = np.where(document > 0, self.file.ends[document - 1], 0)
        return Pieces(
            document=document,
            start=base + place * length // count,
            end=base + (place + 1) * length // count,
            document_end=end,
        )
