import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM

from model import Packing
from model.checkpoint import save_pretrained
from model.transformer import CWM
from tests.model.tiny import CONFIG, build, ids_of

TOLERANCE = 1e-4  # float32 against float32; the smallest defect tried below gives 1e-2


@pytest.fixture(scope="module")
def hf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_pretrained(build(), folder)
    return AutoModelForCausalLM.from_pretrained(folder).eval()


def hf_logits(hf, ids):
    with torch.no_grad():
        return hf(ids[None], use_cache=False).logits[0]


@pytest.mark.parametrize("lengths", [[1], [40], [7, 33, 1, 59], [150]])
def test_logits_equal_hf_document_by_document(hf, lengths):
    ids = ids_of(sum(lengths))
    ours = build()(ids, Packing.of(lengths))
    theirs = torch.cat([hf_logits(hf, part) for part in ids.split(lengths)])
    assert (ours - theirs).abs().max() < TOLERANCE
    assert theirs.abs().max() > 1  # not vacuous


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


def test_gradients_equal_hf(hf):
    ids = ids_of(48)
    ours = build()
    F.cross_entropy(ours(ids, Packing.of([48]))[:-1], ids[1:]).backward()
    hf.zero_grad()
    F.cross_entropy(hf(ids[None], use_cache=False).logits[0, :-1], ids[1:]).backward()
    theirs = dict(hf.named_parameters())
    for name, parameter in ours.named_parameters():
        true = theirs[name].grad
        assert (parameter.grad - true).abs().max() <= 1e-4 * true.abs().max(), name


def test_a_document_does_not_see_another():
    model, lengths = build(), [20, 30, 25]
    ids = ids_of(75)
    changed = ids.clone()
    changed[:20] = ids_of(20, seed=9)
    with torch.no_grad():
        before, after = (model(x, Packing.of(lengths)) for x in (ids, changed))
    assert torch.equal(before[20:], after[20:])
    assert not torch.allclose(before[:20], after[:20])


def test_a_token_does_not_see_the_future():
    model, ids = build(), ids_of(60)
    changed = ids.clone()
    changed[40:] = ids_of(20, seed=9)
    with torch.no_grad():
        before, after = (model(x, Packing.of([60])) for x in (ids, changed))
    assert torch.allclose(before[:40], after[:40], atol=1e-6)


def test_loss_forms_agree():
    model, ids, labels, packing = build(), ids_of(30), ids_of(30, seed=3), Packing.of([18, 12])
    labels[17] = -100
    weights = torch.rand(30)
    nll = model(ids, packing, labels, reduction="none")
    mean = model(ids, packing, labels, weights)
    assert nll[17] == 0
    weights[17] = 0
    assert mean.item() == pytest.approx(((nll * weights).sum() / weights.sum()).item(), rel=1e-5)
    logits = model(ids, packing)
    hot = model(ids, packing, labels, reduction="none", temperature=2.0)
    assert torch.allclose(hot, F.cross_entropy(logits / 2, labels, reduction="none"), atol=1e-5)


def test_recomputing_blocks_changes_no_gradient():
    gradients = []
    for recompute in (False, True):
        torch.manual_seed(0)
        model = CWM(CONFIG, recompute=recompute)
        model(ids_of(30), Packing.of([30]), ids_of(30, seed=3)).backward()
        gradients.append(model.model.layers[2].mlp.up_proj.weight.grad)
    assert torch.equal(*gradients)


def test_attention_can_be_replaced():
    seen = []

    def blind(q, k, v, packing, window):
        seen.append(window)
        return torch.zeros_like(q)

    CWM(CONFIG, blind)(ids_of(5), Packing.of([5]))
    assert seen == [None, 16, 16, 16, None, 16]


def test_initialisation_follows_the_config():
    model = build(hidden_size=64, intermediate_size=256, initializer_range=0.05)
    scaled = build(
        hidden_size=64, intermediate_size=256, initializer_range=0.05, scale_residual_init=True
    )
    block = scaled.model.layers[1]
    assert model.lm_head.weight.std().item() == pytest.approx(0.05, rel=0.05)
    assert model.model.layers[1].mlp.down_proj.weight.std().item() == pytest.approx(0.05, rel=0.05)
    assert block.mlp.down_proj.weight.std().item() == pytest.approx(0.05 / 12**0.5, rel=0.05)
    assert block.mlp.up_proj.weight.std().item() == pytest.approx(0.05, rel=0.05)
