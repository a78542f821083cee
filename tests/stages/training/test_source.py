"""Pieces of documents: split evenly, truncated or dropped; parts by length."""

from itertools import pairwise

import numpy as np
import pytest

from stages.training.settings import MixEntry
from stages.training.source import EmptySourceError, Source


def source(file, long="split", context=16):
    return Source(file, MixEntry(dataset="a", weight=1, long=long), context)


def test_long_documents_split_evenly_truncated_or_dropped(write_tokens):
    file = write_tokens("a", [10, 33, 16])
    split = source(file)
    pieces = split.pieces(np.arange(5))
    assert (pieces.end - pieces.start).tolist() == [10, 11, 11, 11, 16]
    assert pieces.document.tolist() == [0, 1, 1, 1, 2]
    assert pieces.document_end.tolist() == [10, 43, 43, 43, 59]
    assert (split.fitting, split.documents, split.tokens) == (2, 3, 59)
    cut = source(file, "truncate")
    pieces = cut.pieces(np.arange(3))
    assert (pieces.end - pieces.start).tolist() == [10, 16, 16]
    assert cut.tokens == 42
    kept = source(file, "drop")
    assert kept.pieces(np.arange(2)).document.tolist() == [0, 2]
    assert (kept.documents, kept.tokens, kept.mean_tokens) == (2, 26, 13)


def test_parts_by_length_share_nothing_and_lose_nothing(write_tokens):
    whole = source(write_tokens("a", range(1, 60)))
    limits = [0, 4, 11, 14, 16]
    found = []
    for above, up_to in pairwise(limits):
        part = whole.within(above, up_to)
        pieces = part.pieces(np.arange(len(part)))
        lengths = pieces.end - pieces.start
        assert part.tokens == lengths.sum()
        assert lengths.max() <= up_to
        assert lengths.min() >= above  # a split document's pieces differ by one token at most
        found += zip(pieces.start.tolist(), pieces.end.tolist(), strict=True)
    every = whole.pieces(np.arange(len(whole)))
    assert sorted(found) == sorted(zip(every.start.tolist(), every.end.tolist(), strict=True))
    assert len(whole.within(16, 20)) == 0


def test_nothing_fits_is_a_named_error(write_tokens):
    with pytest.raises(EmptySourceError, match="none of its 2 documents fits the context of 16"):
        source(write_tokens("a", [20, 30]), "drop")
    with pytest.raises(EmptySourceError, match="none of its 0 documents"):
        source(write_tokens("b", []))
