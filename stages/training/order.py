"""The order in which pieces of documents are trained on: a pure function of (seed, position).

The stream of pieces is cut into blocks of `BLOCK` positions. Every block holds the same number of
pieces of each data set, so that its tokens have the weights of the mix; which of them stands where
is a shuffle keyed by (seed, block). Within a data set, the n-th draw is piece ``n % size`` of a
permutation keyed by (seed, data set, epoch ``n // size``), computed without storing it. So any
block can be had at once, by any worker, and resuming needs no state but a position.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.training.source import Pieces, Source

BLOCK = 1024
"""Positions that are shuffled and packed together."""


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
    """`BLOCK` consecutive pieces of the stream; ``pieces`` are parallel arrays with ``source``."""

    source: NDArray[np.int64]
    """Index of the data set of every piece."""
    pieces: Pieces


class Order:
    """The stream of pieces of several data sets, mixed so that their tokens have the given
    weights."""

    def __init__(self, sources: Sequence[Source], weights: Sequence[float], seed: int) -> None:
        self.sources = tuple(sources)
        self.seed = seed
        self.per_block = _quotas(
            [weight / source.mean_tokens for source, weight in zip(sources, weights, strict=True)]
        )

    def drawn(self, source: int, first: int, last: int) -> Pieces:
        """Return draws ``first … last - 1`` of one data set, over as many epochs as that takes."""
        size = len(self.sources[source])
        draws = np.arange(first, last, dtype=np.int64)
        indices = np.empty_like(draws)
        for epoch in range(first // size, -(-last // size)):
            inside = draws // size == epoch
            key = key_of(self.seed, self.sources[source].name, epoch)
            indices[inside] = permute(draws[inside] % size, size, key)
        return self.sources[source].pieces(indices)

    def block(self, number: int) -> Block:
        """Return block ``number`` (0, 1, …) of the stream."""
        source = np.repeat(np.arange(len(self.sources)), self.per_block)
        drawn = [
            self.drawn(i, number * quota, (number + 1) * quota)
            for i, quota in enumerate(self.per_block)
        ]
        place = permute(np.arange(BLOCK), BLOCK, key_of(self.seed, "block", number))
        return Block(
            source=source[place],
            pieces=Pieces(
                *(
                    np.concatenate([getattr(pieces, name) for pieces in drawn])[place]
                    for name in Pieces.__slots__
                )
            ),
        )


def _quotas(shares: Sequence[float]) -> list[int]:
    """Divide `BLOCK` in proportion to ``shares``: at least one each, largest remainders rounded
    up."""
    exact = [share * BLOCK / sum(shares) for share in shares]
    quotas = [max(1, int(value)) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (int(exact[i]) - exact[i], i))
    for i in by_remainder[: max(0, BLOCK - sum(quotas))]:
        quotas[i] += 1
    quotas[quotas.index(max(quotas))] += BLOCK - sum(quotas)
    return quotas
