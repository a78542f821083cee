"""Packing: no piece is cut or lost, rows are full, and any place in the sequence comes at once."""

from hypothesis import given
from hypothesis import strategies as st

from stages.training.order import Order
from stages.training.packing import Cursor, Rows, pack
from stages.training.settings import MixEntry
from stages.training.source import Source


@given(st.lists(st.integers(1, 32), max_size=200))
def test_pack_keeps_every_item_whole_and_once(lengths):
    rows = pack(lengths, 32)
    assert sorted(item for row in rows for item in row) == list(range(len(lengths)))
    assert all(sum(lengths[item] for item in row) <= 32 for row in rows)


def test_pack_fills_rows():
    lengths = [1 + (7 * i) % 31 for i in range(1000)]
    assert sum(lengths) / (32 * len(pack(lengths, 32))) > 0.97


def rows_over(write_tokens, seed=0):
    entry = MixEntry(dataset="a", weight=1)
    sources = [Source(write_tokens("a", [2 + (7 * i) % 60 for i in range(500)]), entry, 64)]
    return Rows(Order(sources, [1], seed), 64)


def test_taking_in_other_portions_gives_the_same_rows(write_tokens):
    rows = rows_over(write_tokens)
    once, end = rows.take(Cursor(), 1200)
    again, cursor = [], Cursor()
    for count in (1, 299, 600, 300):
        part, cursor = rows.take(cursor, count)
        again += part
    assert again == once
    assert cursor == end
    assert rows_over(write_tokens).take(end, 5) == rows.take(end, 5)


def test_short_documents_are_never_cut(write_tokens):
    rows = rows_over(write_tokens)
    ends = set(rows.order.sources[0].file.ends.tolist())
    for row in rows.take(Cursor(), 800)[0]:
        assert set(row.end) <= ends
        assert sum(row.lengths) <= 64


def test_seen_counts_what_was_taken(write_tokens):
    rows = rows_over(write_tokens)
    taken, cursor = rows.take(Cursor(), 700)
    seen = rows.seen(cursor)["a"]
    assert seen.tokens == sum(sum(row.lengths) for row in taken)
    assert seen.documents == len({end for row in taken for end in row.document_end})
    assert seen.epochs == sum(len(row.start) for row in taken) / 500
