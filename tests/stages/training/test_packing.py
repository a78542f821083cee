"""Packing: no piece is cut or lost, and rows are full."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.training.packing import pack


@given(st.lists(st.integers(1, 32), max_size=200))
def test_pack_keeps_every_item_whole_and_once(lengths):
    rows = pack(lengths, 32)
    assert sorted(item for row in rows for item in row) == list(range(len(lengths)))
    assert all(sum(lengths[item] for item in row) <= 32 for row in rows)


@given(st.lists(st.integers(1, 32), min_size=1, max_size=200))
def test_no_two_rows_could_be_one(lengths):
    sizes = sorted(sum(lengths[item] for item in row) for row in pack(lengths, 32))
    assert len(sizes) == 1 or sizes[0] + sizes[1] > 32


def test_pack_fills_rows():
    lengths = [1 + (7 * i) % 31 for i in range(1000)]
    assert sum(lengths) / (32 * len(pack(lengths, 32))) > 0.97


def test_a_piece_longer_than_a_row():
    with pytest.raises(ValueError, match="a piece of 33 tokens in rows of 32"):
        pack([4, 33], 32)
