"""Packing of whole pieces into rows."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass


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
    reach: int | None = None
    """How many tokens back global layers look; None: to the beginning of the document."""

    @property
    def lengths(self) -> list[int]:
        """Tokens of every piece."""
        return [end - start for start, end in zip(self.start, self.end, strict=True)]
