"""Choose rows up to a budget of bytes, whatever order they come in."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable
from typing import TypeVar

Item = TypeVar("Item")


def sample_by_hash(rows: Iterable[tuple[str, Item, int]], *, budget: int, seed: int) -> list[Item]:
    """Return the first items of ``rows`` (key, item, bytes) in hash order that fit ``budget``.

    Only the chosen items are held. The first one is chosen even when it alone exceeds the budget,
    so that the sample of a table with rows is never empty (unless the budget is 0).
    """
    chosen: list[tuple[int, int, Item, int]] = []  # a heap, the last in hash order on top
    total, limit = 0, 1 << 64  # what comes after something that did not fit is out too
    for place, (key, item, size) in enumerate(rows):
        rank = int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:8], "big")
        if rank >= limit:
            continue
        heapq.heappush(chosen, (-rank, place, item, size))
        total += size
        while total > budget and (len(chosen) > 1 or budget == 0):
            last = heapq.heappop(chosen)
            total, limit = total - last[3], -last[0]
    return [item for _, _, item, _ in sorted(chosen, key=lambda found: -found[0])]
