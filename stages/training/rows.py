"""The endless sequence of packed rows that the steps of a training take, from any place on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import fsum
from typing import Any

import numpy as np

from stages.training.buckets import Turns, make_buckets
from stages.training.order import VERSION, Block
from stages.training.packing import Row, pack
from stages.training.settings import LengthBucket
from stages.training.source import Source
from stages.training.token_file import TokenFile

_CHUNK = 1 << 20
"""Draws that are looked at together when counting what was seen."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far training is in its data: all that resuming needs to know."""

    step: int = 0
    """Steps that took rows."""
    places: tuple[tuple[int, int], ...] = ()
    """For every bucket the next (block, row); () where none was taken from yet."""

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"step": self.step, "places": [list(place) for place in self.places]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Cursor:
        """Return what `to_json` was given."""
        return cls(value["step"], tuple((block, row) for block, row in value["places"]))


@dataclass(frozen=True, slots=True)
class Seen:
    """What was taken of one data set."""

    tokens: int
    documents: int
    """Different documents."""
    epochs: float
    """Passes over the data set's pieces."""


class Rows:
    """The packed rows of some data sets with these shares of the tokens; the same for every worker.

    Raises `EmptyBucketError` for a bucket that no document falls into.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        shares: Sequence[float],
        *,
        seed: int,
        row_tokens: int,
        buckets: Sequence[LengthBucket] = (),
    ) -> None:
        self.sources = tuple(sources)
        self.shares = tuple(shares)
        self.seed = seed
        self.row_tokens = row_tokens
        self.buckets = make_buckets(sources, shares, buckets, seed=seed, row_tokens=row_tokens)
        self._packed = lru_cache(maxsize=2 * len(self.buckets))(self._pack_block)

    @property
    def files(self) -> list[TokenFile]:
        """The token files that a `Row`'s ``source`` counts."""
        return [source.file for source in self.sources]

    def take(self, cursor: Cursor, count: int) -> tuple[list[Row], Cursor]:
        """Return the ``count`` rows of the next step, all of one bucket, and where it goes on."""
        number = self._turns[cursor.step]
        places = list(cursor.places) or [(0, 0)] * len(self.buckets)
        block, row = places[number]
        rows: list[Row] = []
        while len(rows) < count:
            packed = self._packed(number, block)
            part = packed[row : row + count - len(rows)]
            rows += part
            row += len(part)
            if row >= len(packed):
                block, row = block + 1, 0
        places[number] = (block, row)
        return rows, Cursor(cursor.step + 1, tuple(places))

    @cached_property
    def fills(self) -> list[float]:
        """Tokens of each bucket's rows as a share of their room, measured on its first block."""
        return [
            sum(sum(row.lengths) for row in rows) / (len(rows) * self.row_tokens)
            for rows in (self._packed(number, 0) for number in range(len(self.buckets)))
        ]

    @cached_property
    def step_shares(self) -> list[float]:
        """Share of the steps that each bucket gets, so that its tokens have their share."""
        if len(self.buckets) == 1:
            return [1.0]
        needed = [b.share / fill for b, fill in zip(self.buckets, self.fills, strict=True)]
        return [part / fsum(needed) for part in needed]

    @property
    def fill(self) -> float:
        """Tokens of an average step's rows as a share of their room."""
        return fsum(s * f for s, f in zip(self.step_shares, self.fills, strict=True))

    @cached_property
    def _turns(self) -> Turns:
        return Turns(self.step_shares, self.seed)

    def _pack_block(self, bucket: int, number: int) -> list[Row]:
        order, reach = self.buckets[bucket].order, self.buckets[bucket].reach
        block = order.block(number)
        lengths = (block.pieces.end - block.pieces.start).tolist()
        packed = pack(lengths, self.row_tokens)
        # packing sorts by length; training must not
        shuffled = order.shuffled(len(packed), "rows", number)
        return [_row(block, packed[i], reach) for i in shuffled.tolist()]

    @property
    def fingerprint(self) -> dict[str, Any]:
        """All that the rows follow from, as JSON values: the files' content and the settings."""
        return {
            "data": {
                source.name: {
                    name: source.file.meta[name] for name in ("documents", "tokens", "vocab_size")
                }
                | {"sha256": source.file.digest}
                for source in self.sources
            },
            "order": {
                "version": VERSION,
                "seed": self.seed,
                "row_tokens": self.row_tokens,
                "context_length": self.sources[0].context_length,
                "mix": {
                    source.name: {"share": share, "long": source.entry.long}
                    for source, share in zip(self.sources, self.shares, strict=True)
                },
                "buckets": [[bucket.up_to, bucket.reach] for bucket in self.buckets],
            },
        }

    def seen(self, cursor: Cursor) -> dict[str, Seen]:
        """Return what all rows before ``cursor`` hold, per data set."""
        places = cursor.places or ((0, 0),) * len(self.buckets)
        result = {}
        for i, source in enumerate(self.sources):
            found = [self._seen(number, i, *place) for number, place in enumerate(places)]
            tokens, documents, draws = (sum(column) for column in zip(*found, strict=True))
            result[source.name] = Seen(tokens, documents, draws / len(source))
        return result

    def _seen(self, number: int, i: int, block: int, row: int) -> tuple[int, int, int]:
        """Return tokens, different documents and draws of data set ``i`` from one bucket."""
        order = self.buckets[number].order
        source = order.sources[i]
        if not len(source):
            return 0, 0, 0
        draws = order.before(i, block)
        epochs = draws // len(source)
        tokens, marked = epochs * source.tokens, np.zeros(len(source.file), dtype=bool)
        for first in range(epochs * len(source), draws, _CHUNK):
            pieces = source.pieces(order.indices(i, first, min(first + _CHUNK, draws)))
            tokens += int((pieces.end - pieces.start).sum())
            marked[pieces.document] = True
        for taken in self._packed(number, block)[:row]:
            for owner, start, end in zip(taken.source, taken.start, taken.end, strict=True):
                if owner == i:
                    tokens += end - start
                    draws += 1
                    marked[source.file.document_at(start)] = True
        return tokens, source.documents if epochs else int(marked.sum()), draws


def _row(block: Block, items: list[int], reach: int | None) -> Row:
    pieces = block.pieces
    columns = (block.source, pieces.start, pieces.end, pieces.document_end)
    source, start, end, document_end = (tuple(column[items].tolist()) for column in columns)
    return Row(source, start, end, document_end, reach)
