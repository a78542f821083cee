"""The order of pieces: a bijection per epoch, mixed by share, the same from any position."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.training.order import Order, permute
from stages.training.settings import MixEntry
from stages.training.source import Source


@given(st.integers(1, 3000), st.integers(0, 2**64 - 1))
def test_permute_is_a_bijection(size, key):
    assert sorted(permute(np.arange(size), size, key).tolist()) == list(range(size))


def test_permute_depends_on_the_key():
    orders = {tuple(permute(np.arange(50), 50, key).tolist()) for key in range(20)}
    assert len(orders) == 20


def test_permute_spreads_neighbours_beyond_32_bits():
    size = 3 * 2**33
    first = permute(np.arange(100_000), size, 1)
    assert len(set(first.tolist())) == 100_000
    assert first.max() < size
    share = np.histogram(first, bins=8, range=(0, size))[0] / 100_000
    assert abs(share - 1 / 8).max() < 0.01


def test_the_order_is_the_same_for_ever():
    """A checkpoint resumes in the order it began in: whoever changes this raises `VERSION`."""
    order = permute(np.arange(10**6, 10**6 + 1000), 10**9, key=7)
    digest = hashlib.sha256(order.astype("<i8").tobytes()).hexdigest()
    assert order[:3].tolist() == [593073396, 408800990, 222277906]
    assert digest[:16] == "469a8c809dd092a6"


def source(file, name="a"):
    return Source(file, MixEntry(dataset=name, weight=1), 16)


def shares_of(order, blocks):
    tokens = np.zeros(len(order.sources))
    for number in range(blocks):
        block = order.block(number)
        lengths = block.pieces.end - block.pieces.start
        tokens += np.bincount(block.source, lengths, len(tokens))
    return tokens / tokens.sum()


def test_shares_are_shares_of_tokens(write_tokens):
    short, long = write_tokens("a", [4] * 50), write_tokens("b", [16] * 50)
    order = Order([source(short), source(long, "b")], [0.75, 0.25], 0, block_tokens=4096)
    assert shares_of(order, 1) == pytest.approx([0.75, 0.25], abs=0.005)


def test_small_shares_are_not_rounded_in_the_long_run(write_tokens):
    files = [write_tokens(name, [8] * 40) for name in "abc"]
    sources = [source(file, name) for file, name in zip(files, "abc", strict=True)]
    shares = [0.0007, 0.3331, 0.6662]
    order = Order(sources, shares, 0, block_tokens=2048)  # 256 pieces: a third of one for "a"
    assert shares_of(order, 400) == pytest.approx(shares, abs=2e-5)
    assert [order.before(i, 400) for i in range(3)] == [71, 34109, 68218]


def test_every_epoch_visits_every_piece_once_in_another_order(write_tokens):
    size = 40
    order = Order([source(write_tokens("a", [8] * size))], [1], 0, block_tokens=256)
    epochs = [order.indices(0, e * size, (e + 1) * size).tolist() for e in range(3)]
    assert all(sorted(epoch) == list(range(size)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert order.indices(0, 35, 90).tolist() == [d for epoch in epochs for d in epoch][35:90]
    assert order.indices(0, 35, 35).tolist() == []


def test_a_block_depends_on_seed_name_and_number_alone(write_tokens):
    file = write_tokens("a", range(2, 17))
    blocks = [
        Order([source(file)], [1], seed, block_tokens=999, name=name).block(3).pieces.start.tolist()
        for seed, name in ((0, ""), (0, ""), (1, ""), (0, "long"))
    ]
    assert blocks[0] == blocks[1]
    assert blocks[1] != blocks[2] != blocks[3] != blocks[1]
