"""The architecture is transformers' CwmForCausalLM, whatever the shape: logits and gradients."""

import copy

import pytest
import torch
import torch.nn.functional as F

from model import Packing, linear
from tests.model.hf import drawn, hf_of, loud
from tests.model.tiny import build, ids_of

TOLERANCE = 1e-4  # float32 against float32, |logits| up to 6; the least defect below gives 5e-3
GRADIENTS = 1e-5  # of each tensor's largest entry
SEEDS = range(8)


@pytest.fixture(scope="module")
def hf():
    return hf_of(build())


@pytest.fixture(params=["small products", "oneDNN"])
def products(request, monkeypatch):
    """Tiny products take F.linear; real ones oneDNN where there is one."""
    if request.param == "oneDNN":
        monkeypatch.setattr(linear, "_WORTH_IT", 0)


def hf_logits(hf, ids):
    with torch.no_grad():
        return hf(ids[None], use_cache=False).logits[0]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_logits_equal_hf(seed, attention, products):
    lengths = [7, 60, 1, 133]
    ids, packing = ids_of(sum(lengths), seed=seed), Packing.of(lengths)
    model = loud(drawn(seed), ids, packing, seed)
    peer = hf_of(model, attention=attention)
    with torch.no_grad():
        ours = model(ids, packing)
    theirs = torch.cat([hf_logits(peer, part) for part in ids.split(lengths)])
    assert (ours - theirs).abs().max() < TOLERANCE
    assert 5 < theirs.abs().max() < 7  # not vacuous


@pytest.mark.parametrize("lengths", [[1], [40], [150], [2000]])
def test_a_document_shorter_and_longer_than_the_window(hf, lengths):
    ids = ids_of(sum(lengths))
    with torch.no_grad():
        ours = build()(ids, Packing.of(lengths))
    assert (ours - hf_logits(hf, ids)).abs().max() < TOLERANCE


def test_a_window_of_one_token_sees_itself():
    model, ids = build(sliding_window=1), ids_of(30)
    assert (model(ids, Packing.of([30])) - hf_logits(hf_of(model), ids)).abs().max() < TOLERANCE


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def furthest(gradients, true):
    """The largest difference, as a share of its tensor's largest entry."""
    shares = [(gradients[n] - g).abs().max() / g.abs().max() for n, g in true.items()]
    return torch.stack(shares).max()


@pytest.mark.parametrize("seed", SEEDS)
def test_gradients_equal_hf(seed, products):
    ids, packing = ids_of(90, seed=seed), Packing.of([90])
    model = loud(drawn(seed), ids, packing, seed)
    peer, exact = hf_of(model), copy.deepcopy(model).double()
    labels = torch.cat([ids[1:], torch.tensor([-100])])
    ours = gradients(model, model(ids, packing, labels))
    logits = peer(ids[None], use_cache=False).logits[0]
    theirs = gradients(peer, F.cross_entropy(logits, labels))
    true = gradients(exact, exact(ids, packing, labels))
    # where the two differ by more than the tolerance, float64 says that ours are right
    assert min(furthest(ours, theirs), furthest(ours, true)) < GRADIENTS
    assert furthest(theirs, true) < 10 * GRADIENTS  # float64 itself is judged


def test_gradients_in_float64_equal_hf():
    ids, packing = ids_of(60), Packing.of([60])
    model = build().double()
    peer = hf_of(build(), dtype=torch.float64)
    ours = gradients(model, F.cross_entropy(model(ids, packing)[:-1], ids[1:]))
    logits = peer(ids[None], use_cache=False).logits[0, :-1]
    theirs = gradients(peer, F.cross_entropy(logits, ids[1:]))
    assert furthest(ours, theirs) < 1e-6  # HF's norms compute in float32 all the same


LENGTHS = [20, 33, 1, 46]


def hf_packed(hf, **options):
    ids, packing = ids_of(sum(LENGTHS)), Packing.of(LENGTHS)
    with torch.no_grad():
        logits = hf(ids[None], position_ids=packing.positions[None], **options).logits[0]
        return logits, build()(ids, packing)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_packed_row_equals_hf_with_positions_and_without_a_cache(attention):
    theirs, ours = hf_packed(hf_of(build(), attention=attention), use_cache=False)
    assert (ours - theirs).abs().max() < TOLERANCE


def test_trap_hf_with_a_cache_looks_across_documents(hf):
    """Without ``use_cache=False`` HF takes restarting positions for one document's: training on
    packed rows silently mixes them.
    """
    theirs, ours = hf_packed(hf)
    difference = (ours - theirs).abs().amax(-1)
    assert difference[: LENGTHS[0]].max() < TOLERANCE  # the first document sees no other
    assert difference[LENGTHS[0] :].max() > 1


@pytest.mark.parametrize(
    "defect",
    [
        {"sliding_window": 15},
        {"sliding_window": 17},
        {"layer_types": ("full_attention",) * 6},
        {"layer_types": ("full_attention", *("sliding_attention",) * 2) * 2},
        {"rope_scaling": None},
        {"rope_theta": 9e3},
        {"rms_norm_eps": 1e-2},
    ],
    ids=str,
)
def test_parity_check_sees_defects(hf, defect):
    ids = ids_of(100)
    ours = build(**defect)(ids, Packing.of([100]))
    assert (ours - hf_logits(hf, ids)).abs().max() > 50 * TOLERANCE


def test_parity_check_sees_a_missing_document_boundary(hf):
    ids = ids_of(sum(LENGTHS))
    theirs = torch.cat([hf_logits(hf, part) for part in ids.split(LENGTHS)])
    assert (build()(ids, Packing.of([len(ids)])) - theirs).abs().max() > 1
