import torch
import torch.nn.functional as F

from model.loss import IGNORED, token_losses, weighted_mean


def case(dtype=torch.float64):
    torch.manual_seed(0)
    hidden = torch.randn(37, 8, dtype=dtype, requires_grad=True)
    weight = torch.randn(50, 8, dtype=dtype, requires_grad=True)
    labels = torch.randint(0, 50, (37,))
    labels[[3, 20, 36]] = IGNORED
    return hidden, weight, labels


def test_chunks_equal_the_whole_with_gradients():
    hidden, weight, labels = case(torch.float32)
    upstream = torch.randn(37)
    results = []
    for chunk in (None, 8, 37, 100):
        losses = token_losses(hidden, weight, labels, temperature=0.7, chunk=chunk)
        results.append((losses, *torch.autograd.grad(losses, (hidden, weight), upstream)))
    true = F.cross_entropy(hidden @ weight.T / 0.7, labels, reduction="none")
    assert torch.allclose(results[0][0], true, atol=1e-5)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert torch.allclose(a, b, atol=1e-4)


def test_a_factor_on_the_loss_reaches_the_head():
    hidden, weight, labels = case(torch.float32)
    whole, half = (
        torch.autograd.grad(factor * token_losses(hidden, weight, labels, chunk=8).sum(), weight)[0]
        for factor in (1.0, 0.5)
    )
    assert torch.allclose(whole, 2 * half, atol=1e-5)


def test_weighted_mean_ignores_unscored_tokens():
    losses, labels = torch.tensor([1.0, 9.0, 3.0]), torch.tensor([0, IGNORED, 2])
    assert weighted_mean(losses, labels, None) == 2.0
    assert weighted_mean(losses, labels, torch.tensor([1.0, 5.0, 3.0])) == 2.5
    assert weighted_mean(losses, torch.full((3,), IGNORED), None) == 0.0
