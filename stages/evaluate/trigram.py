"""An interpolated byte trigram: the baseline that a language model of code has to beat.

Witten-Bell smoothing: the more different bytes have followed a context, the more weight goes to
the next shorter one. With n(ctx, c) the count of byte c after a context, N and T its total and its
number of different bytes::

    p(c | ctx) = (n(ctx, c) + T * p(c | shorter ctx)) / (N + T)

down to the uniform distribution over 256 bytes. No parameter has to be fitted.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

_START = b"\0\0"  # the context of a document's first bytes


class Trigram:
    """Counts of byte triples in ``documents``, each a text on its own."""

    def __init__(self, documents: Iterable[bytes]) -> None:
        triples = [_triples(document) for document in documents]
        codes = np.concatenate(triples) if triples else np.zeros(0, dtype=np.int64)
        counts = np.bincount(codes, minlength=1 << 24).astype(np.int32)
        pairs = counts.reshape(256, 1 << 16).sum(0)
        self._levels = [pairs.reshape(256, 256).sum(0), pairs, counts]
        self._totals = [level.reshape(-1, 256).sum(1) for level in self._levels]
        self._kinds = [(level.reshape(-1, 256) > 0).sum(1) for level in self._levels]

    def bits(self, document: bytes) -> float:
        """Return the cost of ``document`` in bits."""
        codes = _triples(document)
        probability = np.full(len(codes), 1 / 256)
        for level, counts in enumerate(self._levels):
            place = codes & ((1 << 8 * (level + 1)) - 1)
            total, kinds = self._totals[level][place >> 8], self._kinds[level][place >> 8]
            seen = total > 0  # a context that never occurred says nothing
            mixed = (counts[place] + kinds * probability) / np.maximum(total + kinds, 1)
            probability = np.where(seen, mixed, probability)
        return float(-np.log2(probability).sum())


def _triples(document: bytes) -> npt.NDArray[np.int64]:
    """Return a << 16 | b << 8 | c for each byte c of a document and the two before it."""
    data = np.frombuffer(_START + document, dtype=np.uint8).astype(np.int64)
    return (data[:-2] << 16) | (data[1:-1] << 8) | data[2:]
