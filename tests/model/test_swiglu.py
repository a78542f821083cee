import torch
import torch.nn.functional as F

from model.swiglu import swiglu


def test_gradient():
    gate, up = torch.randn(2, 5, 7, dtype=torch.float64, requires_grad=True).unbind()
    assert torch.autograd.gradcheck(swiglu, (gate, up))


def test_gradient_of_one_tensor_used_as_both():
    x = torch.randn(6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: swiglu(x, x), x)


def test_equals_the_plain_product():
    for dtype in (torch.float32, torch.bfloat16):
        gate, up = torch.randn(2, 33, 17).to(dtype).unbind()
        assert torch.equal(swiglu(gate, up), F.silu(gate) * up)


def test_autocast():
    gate, up = torch.randn(2, 8, 4).bfloat16().unbind()
    gate.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        out = swiglu(gate, up)
    out.sum().backward()
    assert out.dtype == gate.grad.dtype == torch.bfloat16
