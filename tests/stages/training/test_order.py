"""The order of pieces: a bijection per epoch, mixed by weight, the same from any position."""

import numpy as np
import pytest

from stages.training.order import BLOCK, Order, permute
from stages.training.settings import MixEntry
from stages.training.source import EmptySourceError, Source


@pytest.mark.parametrize("size", [1, 2, 3, 17, 256, 1000])
def test_permute_is_a_bijection(size):
    assert sorted(permute(np.arange(size), size, key=5).tolist()) == list(range(size))


def test_permute_depends_on_the_key():
    orders = {tuple(permute(np.arange(50), 50, key).tolist()) for key in range(20)}
    assert len(orders) == 20


def source(file, long="split", context=16, name="a"):
    return Source(file, MixEntry(dataset=name, weight=1, long=long), context)


def test_long_documents_split_evenly_truncated_or_dropped(write_tokens):
    file = write_tokens("a", [10, 33, 16])
    every = np.arange(5)
    split = source(file)
    pieces = split.pieces(every)
    assert (pieces.end - pieces.start).tolist() == [10, 11, 11, 11, 16]
    assert pieces.document.tolist() == [0, 1, 1, 1, 2]
    assert pieces.document_end.tolist() == [10, 43, 43, 43, 59]
    assert split.fitting == 2
    cut = source(file, "truncate").pieces(np.arange(3))
    assert (cut.end - cut.start).tolist() == [10, 16, 16]
    kept = source(file, "drop").pieces(np.arange(2))
    assert kept.document.tolist() == [0, 2]


def test_nothing_fits_is_a_named_error(write_tokens):
    with pytest.raises(EmptySourceError, match="none of its 2 documents fits the context of 16"):
        source(write_tokens("a", [20, 30]), "drop")


def test_weights_are_shares_of_tokens(write_tokens):
    short, long = write_tokens("a", [4] * 50), write_tokens("b", [16] * 50)
    order = Order([source(short), source(long, name="b")], [3, 1], seed=0)
    block = order.block(0)
    tokens = block.pieces.end - block.pieces.start
    assert len(tokens) == BLOCK
    assert tokens[block.source == 0].sum() / tokens.sum() == pytest.approx(0.75, abs=0.01)


def test_every_epoch_visits_every_piece_once_in_another_order(write_tokens):
    size = 40
    order = Order([source(write_tokens("a", [8] * size))], [1], seed=0)
    epochs = [order.drawn(0, e * size, (e + 1) * size).document.tolist() for e in range(3)]
    assert all(sorted(epoch) == list(range(size)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert order.drawn(0, 35, 90).document.tolist() == [d for epoch in epochs for d in epoch][35:90]


def test_a_block_depends_on_seed_and_number_alone(write_tokens):
    file = write_tokens("a", range(2, 40))
    blocks = [Order([source(file)], [1], seed=s).block(3).pieces.start.tolist() for s in (0, 0, 1)]
    assert blocks[0] == blocks[1] != blocks[2]
