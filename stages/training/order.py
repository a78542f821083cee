"""The order in which pieces of documents are trained on: a pure function of (seed, position).

The stream of pieces is cut into blocks. Every block holds a number of pieces of each data set that
gives its tokens the shares of the mix; which of them stands where is a shuffle keyed by (seed,
block). Within a data set, the n-th draw is piece ``n % size`` of a permutation keyed by (seed, data
set, epoch ``n // size``), computed without storing it. So any block can be had at once, by any
worker, and resuming needs no state but a position.

`grain` has such permutations and mixes too. It takes 4 to 5 µs for each piece, since it has no
permutation of many positions at once, where this takes 0.03 to 0.3 (`benchmarks.data_order`): to
tell what an epoch of 10**8 pieces has shown would take minutes. Its mix also rounds shares to
hundredths of the smallest, and does not tell how many pieces of each data set come before a
position, on which packing and the counting of what was seen are built here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray

from stages.training.source import Pieces, Source

VERSION = 2
"""Of the order: goes up when equal settings and data give another order than before."""
_ONE = 1 << 32
"""Draws per block are counted in fractions of this, so that no share is rounded in the long run."""


def key_of(*parts: int | str) -> int:
    """Return 64 bits that depend on all ``parts``, the same on every machine."""
    digest = hashlib.sha256("\0".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "little")


def permute(indices: NDArray[np.int64], size: int, key: int) -> NDArray[np.int64]:
    """Map ``indices`` by a pseudo-random permutation of range(size) that ``key`` chooses.

    A four-round Feistel network on the next power of four; what falls outside the range is mapped
    again until it is inside ("cycle walking"), which keeps it a bijection.
    """
    half = max(1, ((max(size, 2) - 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << half) - 1)
    keys = [np.uint64(key_of(key, turn)) for turn in range(4)]
    result = indices.astype(np.uint64)
    outside = np.arange(len(result))
    while len(outside):
        left, right = result[outside] >> np.uint64(half), result[outside] & mask
        for turn_key in keys:
            left, right = right, left ^ (_mix(right ^ turn_key) & mask)
        result[outside] = (left << np.uint64(half)) | right
        outside = outside[result[outside] >= size]
    return result.astype(np.int64)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # the finaliser of splitmix64: every input bit reaches every output bit; products wrap by intent
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive pieces of the stream; ``pieces`` are parallel arrays with ``source``."""

    source: NDArray[np.int64]
    """Index of the data set of every piece."""
    pieces: Pieces


class Order:
    """The stream of pieces of several data sets, mixed so that their tokens have the given shares.

    A block has about ``block_tokens`` tokens. Data sets without pieces have a share of 0. ``name``
    tells apart the orders of one training.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        shares: Sequence[float],
        seed: int,
        *,
        block_tokens: int,
        name: str = "",
    ) -> None:
        self.sources = tuple(sources)
        self.shares = tuple(share / fsum(shares) for share in shares)
        self._key = key_of(seed, name)
        self._rates = [
            round(share * block_tokens * len(source) / source.tokens * _ONE) if share else 0
            for source, share in zip(self.sources, self.shares, strict=True)
        ]

    def before(self, source: int, block: int) -> int:
        """Return how many pieces of a data set come before a block."""
        return block * self._rates[source] // _ONE

    def indices(self, source: int, first: int, last: int) -> NDArray[np.int64]:
        """Return which pieces draws ``first … last - 1`` of one data set take, over as many epochs
        as that takes."""
        size, name = len(self.sources[source]), self.sources[source].name
        parts = [
            permute(
                np.arange(max(first, epoch * size), min(last, (epoch + 1) * size)) - epoch * size,
                size,
                key_of(self._key, name, epoch),
            )
            for epoch in range(first // size, -(-last // size))
        ]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def block(self, number: int) -> Block:
        """Return block ``number`` (0, 1, …) of the stream."""
        drawn = [
            source.pieces(self.indices(i, self.before(i, number), self.before(i, number + 1)))
            for i, source in enumerate(self.sources)
            if self._rates[i]
        ]
        owners = [i for i, rate in enumerate(self._rates) if rate]
        source = np.repeat(owners, [len(pieces.start) for pieces in drawn])
        place = self.shuffled(len(source), "block", number)
        return Block(
            source=source[place],
            pieces=Pieces(
                *(
                    np.concatenate([getattr(pieces, name) for pieces in drawn])[place]
                    for name in Pieces.__slots__
                )
            ),
        )

    def shuffled(self, size: int, what: str, number: int) -> NDArray[np.int64]:
        """Return the numbers below ``size`` in an order that ``what`` and ``number`` choose."""
        return permute(np.arange(size), size, key_of(self._key, what, number))
