import pytest
import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

from model import Packing, linear
from model.loss import LabelError
from model.transformer import CWM, RowError, TokenIdError
from tests.model.tiny import CONFIG, build, ids_of


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
    total, z_mean = model(ids, packing, labels, weights, z_loss=0.01)
    assert (total - 0.01 * z_mean).item() == pytest.approx(mean.item(), rel=1e-5)


RECOMPUTE = ("none", "selective", "full")


@pytest.mark.parametrize("lengths", [[30], [5] * 6])
@pytest.mark.parametrize("autocast", [False, True])
def test_recomputing_blocks_changes_no_gradient(autocast, lengths, monkeypatch):
    monkeypatch.setattr(linear, "_WORTH_IT", 1)  # oneDNN's products too
    gradients = []
    for recompute in RECOMPUTE:
        torch.manual_seed(0)
        model = CWM(CONFIG, recompute=recompute)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = model(ids_of(30), Packing.of(lengths), ids_of(30, seed=3))
        loss.backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for other in gradients[1:]:
        assert all(map(torch.equal, gradients[0], other))


def test_recomputing_keeps_less():
    """What a forward pass allocates and does not free, by torch's own accounts."""
    kept = []
    for recompute in RECOMPUTE:
        model, ids, packing = CWM(CONFIG, recompute=recompute), ids_of(200), Packing.of([200])
        model.hidden(ids, packing)  # masks and tables that stay
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
            out = model.hidden(ids, packing)
        kept.append(sum(event.self_cpu_memory_usage for event in profiled.events()))
        out.sum().backward()
    assert kept[1] < 0.7 * kept[0]
    assert kept[2] < 0.3 * kept[1]


def test_a_long_row_without_gradients_is_the_same():
    mlp, x = build().model.layers[0].mlp, torch.randn(9000, 32)
    with torch.no_grad():
        parts = mlp(x)
    assert (parts - mlp(x)).abs().max() < 1e-6


def test_two_forwards_add_their_gradients():
    model, packing, labels = build(), Packing.of([30]), ids_of(30, seed=3)
    parts = []
    for seed in (1, 2):
        model.zero_grad()
        model(ids_of(30, seed=seed), packing, labels).backward()
        parts.append([parameter.grad for parameter in model.parameters()])
    model.zero_grad()
    sum(model(ids_of(30, seed=seed), packing, labels) for seed in (1, 2)).backward()
    for parameter, *each in zip(model.parameters(), *parts, strict=True):
        assert torch.allclose(parameter.grad, sum(each), atol=1e-5)


def test_autocast_is_close_to_float32():
    model, packing, labels = build(), Packing.of([20, 40]), ids_of(60, seed=3)
    losses, gradients = [], []
    for autocast in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = model(ids_of(60), packing, labels)
        loss.backward()
        losses.append(loss.item())
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
        assert loss.dtype == gradients[-1].dtype == torch.float32
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=2e-2)
    assert F.cosine_similarity(*gradients, dim=0) > 0.99


def test_autocast_gives_attention_one_half_type():
    seen = set()

    def attention(q, k, v, packing, window):
        seen.add((q.dtype, k.dtype, v.dtype))
        return q

    with torch.autocast("cpu", torch.bfloat16):
        CWM(CONFIG, attention)(ids_of(5), Packing.of([5]))
    assert seen == {(torch.bfloat16,) * 3}


@pytest.mark.parametrize("wrong", [320, -1, 10**12])
def test_a_token_id_outside_the_vocabulary(wrong):
    ids = ids_of(30)
    ids[17] = wrong
    ids[20] = 999
    with pytest.raises(TokenIdError, match=rf"{wrong} at position 17 .* 0 to 319"):
        build()(ids, Packing.of([30]))


def test_a_label_outside_the_vocabulary():
    with pytest.raises(LabelError, match="320"):
        build()(ids_of(4), Packing.of([4]), torch.tensor([1, 2, 320, -100]))


@pytest.mark.parametrize("name", ["ids_T", "labels_T", "weights_T"])
@pytest.mark.parametrize("shape", [(29,), (31,), (1, 30)])
def test_a_row_of_another_length(name, shape):
    tensors = {"ids_T": ids_of(30), "labels_T": ids_of(30), "weights_T": torch.ones(30)}
    tensors[name] = tensors[name].new_ones(shape)
    with pytest.raises(RowError, match=rf"{name} .* 30 tokens"):
        build()(packing=Packing.of([30]), **tensors)


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


def test_an_unknown_reduction_is_refused():
    with pytest.raises(ValueError, match="'sum'; expected 'mean' or 'none'"):
        build()(ids_of(5), Packing.of([5]), ids_of(5), reduction="sum")
