"""Length buckets: all rows of a step hold documents of similar length (paper, §4.2).

Each bucket is a stream of its own with its own mix: a data set's share of it is in proportion to
the tokens that the data set has of such lengths. A bucket gets the steps that its share of all
tokens needs. So over many steps every data set has the share that it has without buckets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

from stages.training.order import Order, key_of
from stages.training.settings import LengthBucket
from stages.training.source import Source

BLOCK_ROWS = 256
"""Rows' worth of pieces that are shuffled and packed together: enough to fill rows well."""
_WORD = 1 << 64
_GOLDEN = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio: its multiples spread most evenly over 64 bits."""


class EmptyBucketError(ValueError):
    """No document is as long as a bucket asks; says which lengths it has."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The documents of similar length, in order."""

    order: Order
    share: float
    """Of all tokens."""
    reach: int | None
    """How many tokens back global layers look; None: to the beginning of the document."""
    up_to: int
    """Longest piece."""


def make_buckets(
    sources: Sequence[Source],
    shares: Sequence[float],
    buckets: Sequence[LengthBucket],
    *,
    seed: int,
    row_tokens: int,
) -> tuple[Bucket, ...]:
    """Divide data sets with these shares of all tokens among ``buckets``; () makes a single one.

    Raises `EmptyBucketError` for a bucket that no document falls into.
    """
    context = max(source.context_length for source in sources)
    above, made = 0, []
    for bucket in buckets or (LengthBucket(up_to=context),):
        parts = [source.within(above, bucket.up_to) for source in sources]
        inside = [
            share * part.tokens / source.tokens
            for source, part, share in zip(sources, parts, shares, strict=True)
        ]
        if not any(inside):
            raise EmptyBucketError(
                f"no data set has pieces of {above + 1} to {bucket.up_to} tokens (after cutting at "
                f"the context of {context}); leave this bucket out"
            )
        order = Order(
            parts, inside, seed, block_tokens=BLOCK_ROWS * row_tokens, name=f"up to {bucket.up_to}"
        )
        made.append(Bucket(order, fsum(inside), bucket.reach or None, bucket.up_to))
        above = bucket.up_to
    return tuple(made)


class Turns:
    """Which bucket a step takes: a pure function of (seed, step) with the given shares of steps.

    Multiples of the golden ratio are spread so evenly that any stretch of steps has its shares to
    within a few steps, without a pattern that repeats.
    """

    def __init__(self, shares: Sequence[float], seed: int) -> None:
        total = fsum(shares)
        self._limits = [
            round(fsum(shares[: i + 1]) / total * _WORD) for i in range(len(shares) - 1)
        ]
        self._phase = key_of(seed, "buckets")

    def __getitem__(self, step: int) -> int:
        place = (step * _GOLDEN + self._phase) % _WORD
        return sum(place >= limit for limit in self._limits)
