import pytest
import torch

from model import Packing


def test_positions_restart_with_each_document():
    packing = Packing.of([3, 1, 2])
    assert packing.cu_seqlens.tolist() == [0, 3, 4, 6] and packing.cu_seqlens.dtype == torch.int32
    assert packing.positions.tolist() == [0, 1, 2, 0, 0, 1] and packing.tokens == 6


@pytest.mark.parametrize("lengths", [[], [2, 0]])
def test_empty_documents_are_refused(lengths):
    with pytest.raises(ValueError, match="lengths"):
        Packing.of(lengths)
