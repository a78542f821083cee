import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model import Packing
from model.packing import PackingError
from tests.model.tiny import build, ids_of


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


def test_a_part_has_its_tokens_places_in_the_row_s_documents():
    whole = Packing.of([3, 1, 2], reach=2)
    first, second = whole.part(0, 2), whole.part(1, 2)
    assert first.positions.tolist() + second.positions.tolist() == whole.positions.tolist()
    assert second.tokens == 3 and second.lengths == whole.lengths and second.reach == 2
    assert torch.equal(second.cu_seqlens, whole.cu_seqlens)


@pytest.mark.parametrize(("rank", "size"), [(0, 4), (2, 2), (-1, 2)])
def test_a_row_is_divided_into_equal_parts(rank, size):
    with pytest.raises(PackingError, match=f"part {rank} of {size} of 6 tokens from a row of 6"):
        Packing.of([3, 1, 2]).part(rank, size)


def test_a_part_is_not_divided_again():
    with pytest.raises(PackingError, match="of 3 tokens from a row of 6"):
        Packing.of([3, 1, 2]).part(0, 2).part(0, 3)


def test_global_layers_see_as_far_as_they_reach():
    model, ids = build(), ids_of(60)  # global layers see all, local ones 16
    with torch.no_grad():
        whole, same, less = (model(ids, Packing.of([60], reach=reach)) for reach in (None, 60, 24))
    assert torch.equal(whole, same)
    assert torch.allclose(whole[:24], less[:24], atol=1e-5)
    assert (whole[24:] - less[24:]).abs().max() > 1e-3
    assert Packing.of([60], reach=24).to("cpu").reach == 24
    with pytest.raises(PackingError, match="reach 0 tokens"):
        Packing.of([60], reach=0)
