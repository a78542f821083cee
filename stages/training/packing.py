"""Packing of whole pieces into rows, and the rows that each step of training takes."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from stages.training.order import Block, Order, key_of, permute


def pack(lengths: Iterable[int], room: int) -> list[list[int]]:
    """Distribute items over rows of ``room`` tokens, none cut; return the items' indices per row.

    Best fit, longest first: each goes where the least room is left. Raises ValueError for one that
    is longer than a row.
    """
    sizes = list(lengths)
    rows: list[list[int]] = []
    free: list[tuple[int, int]] = []  # (room left, row), sorted
    for item in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        if sizes[item] > room:
            raise ValueError(f"a piece of {sizes[item]} tokens in rows of {room}")
        place = bisect_left(free, (sizes[item], 0))
        if place == len(free):
            left, row = room, len(rows)
            rows.append([])
        else:
            left, row = free.pop(place)
        rows[row].append(item)
        insort(free, (left - sizes[item], row))
    return rows


@dataclass(frozen=True, slots=True)
class Row:
    """Pieces that share a row: for each its data set, first token, end, and its document's end."""

    source: tuple[int, ...]
    start: tuple[int, ...]
    end: tuple[int, ...]
    document_end: tuple[int, ...]

    @property
    def lengths(self) -> list[int]:
        """Tokens of every piece."""
        return [end - start for start, end in zip(self.start, self.end, strict=True)]


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the sequence of rows: the next row to take. All that resuming needs to know."""

    block: int = 0
    row: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What was taken of one data set."""

    tokens: int
    documents: int
    """Different documents."""
    epochs: float
    """Passes over the data set's pieces."""


class Rows:
    """The endless sequence of packed rows of an order; the same for every worker."""

    def __init__(self, order: Order, row_tokens: int) -> None:
        self.order = order
        self.row_tokens = row_tokens
        self._packed = lru_cache(maxsize=2)(self._pack_block)

    def take(self, cursor: Cursor, count: int) -> tuple[list[Row], Cursor]:
        """Return the next ``count`` rows and where the sequence goes on."""
        rows: list[Row] = []
        block, row = cursor.block, cursor.row
        while len(rows) < count:
            packed = self._packed(block)
            part = packed[row : row + count - len(rows)]
            rows += part
            row += len(part)
            if row == len(packed):
                block, row = block + 1, 0
        return rows, Cursor(block, row)

    def _pack_block(self, number: int) -> list[Row]:
        block = self.order.block(number)
        lengths = (block.pieces.end - block.pieces.start).tolist()
        packed = pack(lengths, self.row_tokens)
        # packing sorts by length; training must not
        shuffled = permute(
            np.arange(len(packed)), len(packed), key_of(self.order.seed, "rows", number)
        )
        return [_row(block, packed[i]) for i in shuffled.tolist()]

    def seen(self, cursor: Cursor) -> dict[str, Seen]:
        """Return what all rows before ``cursor`` hold, per data set."""
        rows = self._packed(cursor.block)[: cursor.row]
        result = {}
        for i, (source, quota) in enumerate(
            zip(self.order.sources, self.order.per_block, strict=True)
        ):
            whole = self.order.drawn(i, 0, cursor.block * quota)
            part = [
                (row.start[j], row.end[j])
                for row in rows
                for j, owner in enumerate(row.source)
                if owner == i
            ]
            places = np.array([start for start, _ in part], dtype=np.int64)
            documents = np.searchsorted(source.file.ends, places, side="right")
            result[source.name] = Seen(
                tokens=int((whole.end - whole.start).sum()) + sum(end - at for at, end in part),
                documents=len(np.union1d(whole.document, documents)),
                epochs=(len(whole.start) + len(part)) / len(source),
            )
        return result


def _row(block: Block, items: list[int]) -> Row:
    pieces = block.pieces
    columns = (block.source, pieces.start, pieces.end, pieces.document_end)
    return Row(*(tuple(column[items].tolist()) for column in columns))
