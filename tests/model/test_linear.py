import pytest
import torch
import torch.nn.functional as F

from model import linear as module
from model.linear import linear


@pytest.fixture(params=[0, 1 << 40], ids=["oneDNN", "F.linear"])
def path(request, monkeypatch):
    """Both implementations, whatever the size."""
    monkeypatch.setattr(module, "_WORTH_IT", request.param)
    return request.param


def example(shape=(40, 24), outputs=56, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, generator=generator)
    weight = torch.randn(outputs, shape[-1], generator=generator)
    return x, weight, torch.randn(*shape[:-1], outputs, generator=generator)


def gradients(function, x, weight, grad):
    x, weight = (each.detach().clone().requires_grad_(True) for each in (x, weight))
    out = function(x, weight)
    out.backward(grad)
    return out.detach(), x.grad, weight.grad


@pytest.mark.parametrize("shape", [(40, 24), (1, 24), (3, 5, 24), (2, 2, 2, 24)])
def test_equals_float64(path, shape):
    x, weight, grad = example(shape)
    ours = gradients(linear, x, weight, grad)
    true = gradients(F.linear, x.double(), weight.double(), grad.double())
    for mine, exact in zip(ours, true, strict=True):
        assert mine.shape == exact.shape and mine.dtype == torch.float32
        assert (mine - exact).abs().max() < 1e-5 * exact.abs().max()


def test_takes_strided_tensors(path):
    x, weight, grad = example()
    strided = x.t().contiguous().t(), weight.t().contiguous().t(), grad.t().contiguous().t()
    for ours, plain in zip(
        gradients(linear, *strided), gradients(F.linear, x, weight, grad), strict=True
    ):
        assert torch.allclose(ours, plain, atol=1e-4)


def test_frozen_tensors_get_no_gradient(path):
    x, weight, _ = example()
    frozen = linear(x, weight.requires_grad_(True))
    frozen.sum().backward()
    assert x.grad is None and weight.grad is not None
    with torch.inference_mode():
        assert torch.allclose(linear(x, weight), frozen, atol=1e-5)
    assert not linear(x, weight.detach()).requires_grad


def test_autocast_is_obeyed(path):
    x, weight, grad = example()
    with torch.autocast("cpu", torch.bfloat16):
        out, grad_x, grad_weight = gradients(linear, x, weight, grad.bfloat16())
    assert out.dtype == torch.bfloat16 and grad_x.dtype == grad_weight.dtype == torch.float32


def test_other_types_are_left_to_torch(path):
    x, weight, grad = (each.double() for each in example())
    for ours, plain in zip(
        gradients(linear, x, weight, grad), gradients(F.linear, x, weight, grad), strict=True
    ):
        assert torch.equal(ours, plain)


def test_compiles_to_the_same(path):
    x, weight, grad = example()
    compiled = torch.compile(linear, backend="aot_eager")
    for ours, eager in zip(
        gradients(compiled, x, weight, grad), gradients(linear, x, weight, grad), strict=True
    ):
        assert torch.allclose(ours, eager, atol=1e-4)
