"""Rows: any place in the sequence comes at once, nothing is cut or lost."""

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from stages.training.buckets import EmptyBucketError
from stages.training.rows import Cursor, Rows
from stages.training.settings import LengthBucket, MixEntry
from stages.training.source import EmptySourceError, Source
from stages.training.token_file import TokenFile, TokenWriter


def rows_over(write_tokens, seed=0):
    entry = MixEntry(dataset="a", weight=1)
    file = write_tokens("a", [2 + (7 * i) % 60 for i in range(500)])
    return Rows([Source(file, entry, 64)], [1], seed=seed, row_tokens=64)


def test_taking_in_other_portions_gives_the_same_rows(write_tokens):
    rows = rows_over(write_tokens)
    once, end = rows.take(Cursor(), 1200)
    again, cursor = [], Cursor()
    for count in (1, 299, 600, 300):
        part, cursor = rows.take(cursor, count)
        again += part
    assert again == once
    assert cursor.places == end.places
    assert cursor.step == 4
    assert rows_over(write_tokens).take(end, 5) == rows.take(end, 5)


def test_short_documents_are_never_cut(write_tokens):
    rows = rows_over(write_tokens)
    ends = set(rows.files[0].ends.tolist())
    for row in rows.take(Cursor(), 800)[0]:
        assert set(row.end) <= ends
        assert sum(row.lengths) <= 64


def test_no_document_comes_again_before_all_others_came(write_tokens):
    rows, cursor, counts = rows_over(write_tokens), Cursor(), Counter()
    blocks = 0
    while blocks < 4:
        taken, cursor = rows.take(cursor, 1)
        counts.update(taken[0].start)
        if cursor.places[0][1] == 0:  # within a block the order is free
            blocks += 1
            often = [counts[start] for start in [0, *rows.files[0].ends[:-1].tolist()]]
            assert max(often) - min(often) <= 1


def test_seen_counts_what_was_taken(write_tokens):
    rows = rows_over(write_tokens)
    for count in (1, 20, 700):
        taken, cursor = rows.take(Cursor(), count)
        seen = rows.seen(cursor)["a"]
        assert seen.tokens == sum(sum(row.lengths) for row in taken)
        assert seen.documents == len({end for row in taken for end in row.document_end})
        assert seen.epochs == sum(len(row.start) for row in taken) / 500


def test_a_cursor_survives_json(write_tokens):
    cursor = rows_over(write_tokens).take(Cursor(), 300)[1]
    assert Cursor.from_json(cursor.to_json()) == cursor
    assert Cursor.from_json(Cursor().to_json()) == Cursor()


def test_the_rows_are_the_same_for_ever(write_tokens):
    """A checkpoint resumes in the order it began in: whoever changes this raises `VERSION`."""
    taken, _ = rows_over(write_tokens, seed=1).take(Cursor(), 3)
    assert [row.start for row in taken] == [(15452, 10871), (6002, 1421), (11501, 11102)]


@settings(max_examples=20, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 100), min_size=1, max_size=60),
    long=st.sampled_from(["split", "truncate", "drop"]),
    limit=st.integers(1, 31),
    seed=st.integers(0, 2**31 - 1),
)
@example(lengths=[1, 41], long="split", limit=1, seed=0)
def test_whatever_the_documents_rows_hold_whole_pieces_of_one_bucket(lengths, long, limit, seed):
    with tempfile.TemporaryDirectory() as folder:
        writer = TokenWriter(Path(folder))
        for number, length in enumerate(lengths):
            writer.add([1] * length, [255] * length, str(number))
        writer.close({"vocab_size": 2})
        entry = MixEntry(dataset="a", weight=1, long=long)
        try:
            source = Source(TokenFile(Path(folder)), entry, 32)
            buckets = (LengthBucket(up_to=limit, reach=1), LengthBucket(up_to=32))
            rows = Rows([source], [1], seed=seed, row_tokens=40, buckets=buckets)
        except (EmptySourceError, EmptyBucketError):
            return
        every = source.pieces(np.arange(len(source)))
        pieces = set(zip(every.start.tolist(), every.end.tolist(), strict=True))
        # a bucket's first block, at most 512 rows, holds all of its pieces; rare buckets take long
        assume(min(rows.step_shares) > 0.02)
        cursor, found = Cursor(), set()
        while found != pieces:
            assert cursor.step < 20 / min(rows.step_shares) + 20
            taken, cursor = rows.take(cursor, 30)
            assert len({row.reach for row in taken}) == 1
            for row in taken:
                assert sum(row.lengths) <= 40
                # a document's pieces differ by one token, and stay together
                inside = max(row.lengths) <= limit if row.reach else min(row.lengths) >= limit
                assert inside
                found |= set(zip(row.start, row.end, strict=True))
            assert found <= pieces
