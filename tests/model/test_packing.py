import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model import Packing
from model.packing import PackingError


def test_positions_restart_with_each_document():
    packing = Packing.of([3, 1, 2])
    assert packing.cu_seqlens.tolist() == [0, 3, 4, 6] and packing.cu_seqlens.dtype == torch.int32
    assert packing.positions.tolist() == [0, 1, 2, 0, 0, 1] and packing.tokens == 6


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_boundaries_and_positions_say_the_same(lengths):
    packing = Packing.of(lengths)
    assert packing.lengths == tuple(packing.cu_seqlens.diff().tolist()) == tuple(lengths)
    assert packing.positions.tolist() == [i for length in lengths for i in range(length)]


@pytest.mark.parametrize(
    ("lengths", "named"), [([], "no documents"), ([2, 0], "document 1 .* length 0")]
)
def test_empty_documents_are_refused(lengths, named):
    with pytest.raises(PackingError, match=named):
        Packing.of(lengths)


def test_a_packing_made_while_sampling_serves_training():
    with torch.inference_mode():
        packing = Packing.of([3, 2])
    assert not packing.positions.is_inference() and not packing.cu_seqlens.is_inference()


def test_a_packing_moves_as_one():
    moved = Packing.of([3, 2]).to("meta")
    assert moved.cu_seqlens.is_meta and moved.positions.is_meta and moved.lengths == (3, 2)
