"""Near duplicates: MinHash signatures, locality-sensitive bands, connected components."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np
from rensa import RMinHash

from stages.curate.settings import CurateSettings

_TOKEN = re.compile(r"\w+|[^\w\s]")

Signed = tuple[str, bytes]
"""A document's id and its MinHash signature, uint32 little-endian."""

Pair = tuple[str, str, bool]
"""Two related documents' ids; True when they are duplicates."""


def signature(text: str, settings: CurateSettings) -> bytes:
    """Return the MinHash signature of the set of token shingles of ``text``."""
    tokens = _TOKEN.findall(text)
    width = settings.shingle_tokens
    shingles = {" ".join(tokens[i : i + width]) for i in range(max(len(tokens) - width + 1, 1))}
    hashed = RMinHash(num_perm=settings.permutations, seed=settings.seed)
    hashed.update(sorted(shingles))
    return np.asarray(hashed.digest(), dtype="<u4").tobytes()


def similarity(one: bytes, other: bytes) -> float:
    """Return the Jaccard similarity that two signatures estimate."""
    return float(np.mean(np.frombuffer(one, "<u4") == np.frombuffer(other, "<u4")))


def bands(signed: Signed, count: int) -> Iterator[tuple[tuple[int, bytes], Signed]]:
    """Yield ((band number, the band's part of the signature), ``signed``) for each band."""
    width = len(signed[1]) // count
    for band in range(count):
        yield (band, signed[1][band * width : (band + 1) * width]), signed


def related_pairs(bucket: Iterable[Signed], settings: CurateSettings) -> Iterator[Pair]:
    """Yield the related pairs within one bucket.

    Each document is compared with one representative per cluster found so far, so that a bucket of
    n copies of one file costs n comparisons and not n².
    """
    representatives: list[Signed] = []
    for name, signed in sorted(bucket):
        found = False
        for other, other_signed in representatives:
            estimate = similarity(signed, other_signed)
            if estimate >= settings.related_similarity:
                duplicate = estimate >= settings.duplicate_similarity
                yield other, name, duplicate
                found = found or duplicate
        if not found:
            representatives.append((name, signed))


def clusters(pairs: Iterable[Pair]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield (id, (duplicate cluster, related cluster)) for every id in ``pairs``.

    A cluster is a connected component, named after its smallest id.
    """
    listed = sorted(set(pairs))
    duplicate, related = _Components(), _Components()
    for one, other, same in listed:
        related.join(one, other)
        if same:
            duplicate.join(one, other)
    for name in sorted({name for one, other, _ in listed for name in (one, other)}):
        yield name, (duplicate.root(name), related.root(name))


class _Components:
    """Union-find over strings; a component's root is its smallest member."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, name: str) -> str:
        while (parent := self._parent.get(name, name)) != name:
            self._parent[name] = self._parent.get(parent, parent)
            name = parent
        return name

    def join(self, one: str, other: str) -> None:
        low, high = sorted((self.root(one), self.root(other)))
        self._parent[high] = low
