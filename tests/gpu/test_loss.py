"""The head's loss on an accelerator is float64's on the CPU."""

import pytest
import torch
import torch.nn.functional as F

from model.loss import IGNORED, mean_loss, token_losses

pytestmark = pytest.mark.gpu

TOKENS, WORDS, WIDTH = 1200, 5000, 64


def inputs():
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(TOKENS, WIDTH, generator=generator)
    weight = torch.randn(WORDS, WIDTH, generator=generator) * 2 / WIDTH**0.5
    labels = torch.randint(0, WORDS, (TOKENS,), generator=generator)
    labels[::3] = IGNORED
    return hidden, weight, labels


def run(function, device, dtype):
    """Losses and gradients, back on the CPU in float64."""
    hidden, weight, labels = inputs()
    leaves = [x.to(device, dtype).requires_grad_() for x in (hidden, weight)]
    losses = function(*leaves, labels.to(device))
    gradients = torch.autograd.grad(losses.mean(), leaves)
    return [x.detach().double().cpu() for x in (losses, *gradients)]


def plain(hidden, weight, labels):
    return F.cross_entropy(hidden @ weight.T, labels, reduction="none")


def plain_mean(hidden, weight, labels):
    return F.cross_entropy(hidden @ weight.T, labels)


CASES = pytest.mark.parametrize(("ours", "plain"), [(mean_loss, plain_mean), (token_losses, plain)])


@CASES
def test_float32_equals_float64(device, ours, plain):
    found, true = run(ours, device, torch.float32), run(plain, "cpu", torch.float64)
    assert (found[0] - true[0]).abs().max() < 1e-4
    for a, b in zip(found[1:], true[1:], strict=True):
        assert (a - b).abs().max() < 1e-5 * b.abs().max()


@CASES
@pytest.mark.parametrize("autocast", [True, False])
def test_halves_equal_float64(device, ours, plain, autocast):
    with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
        found = run(ours, device, torch.float32 if autocast else torch.bfloat16)
    true = run(plain, "cpu", torch.float64)
    assert (found[0] - true[0]).abs().max() < 0.1
    for a, b in zip(found[1:], true[1:], strict=True):
        assert (a - b).abs().max() < 0.03 * b.abs().max()
