"""Attention on an accelerator is the CPU's, which is tested against the definition."""

import pytest
import torch

from model import Packing
from model.attention import choose_attention, default_attention, flash_attention, sdpa_attention

pytestmark = pytest.mark.gpu

LENGTHS = [1, 63, 300, 700]


def inputs(heads=8, kv_heads=2, dim=64, seed=0):
    """Queries, keys and values in bfloat16, and a direction for the gradients."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(sum(LENGTHS), h, dim) for h in (heads, kv_heads, kv_heads, heads)]
    q, k, v, direction = (torch.randn(s, generator=generator).bfloat16() for s in shapes)
    return [q, k, v], direction


def run(attend, tensors, direction, window, device, dtype):
    """Output and gradients, back on the CPU in float32."""
    tensors = [x.to(device, dtype).requires_grad_() for x in tensors]
    out = attend(*tensors, Packing.of(LENGTHS, device), window)
    gradients = torch.autograd.grad(out, tensors, direction.to(device, dtype))
    return [x.detach().float().cpu() for x in (out, *gradients)]


@pytest.mark.parametrize("window", [None, 1, 16, 200, 1000])
@pytest.mark.parametrize("heads", [(8, 2), (4, 4)])
def test_halves_equal_float32_on_the_cpu(device, window, heads):
    tensors, direction = inputs(*heads)
    true = run(sdpa_attention, tensors, direction, window, "cpu", torch.float32)
    ours = run(default_attention, tensors, direction, window, device, torch.bfloat16)
    for a, b in zip(ours, true, strict=True):
        assert (a - b).abs().max() < 0.03 * max(1.0, b.abs().max())  # three digits


def test_the_window_is_neither_one_less_nor_one_more(device):
    tensors, direction = inputs()
    ours, *_ = run(default_attention, tensors, direction, 16, device, torch.bfloat16)
    for window, close in ((15, False), (16, True), (17, False)):
        true, *_ = run(sdpa_attention, tensors, direction, window, "cpu", torch.float32)
        assert ((ours - true).abs().max() < 0.1) == close


@pytest.mark.parametrize("window", [None, 16])
def test_other_documents_change_nothing(device, window):
    tensors, direction = inputs()
    first = LENGTHS[0] + LENGTHS[1] + LENGTHS[2]
    changed = [
        torch.cat([b[:first], a[first:]]) for a, b in zip(tensors, inputs(seed=1)[0], strict=True)
    ]
    before, after = (
        run(default_attention, x, direction, window, device, torch.bfloat16)[0]
        for x in (tensors, changed)
    )
    assert torch.equal(before[first:], after[first:])
    assert not torch.equal(before[:first], after[:first])


@pytest.mark.parametrize("window", [None, 16, 200])
def test_float32_equals_the_cpu(device, window):
    tensors, direction = inputs()
    true = run(sdpa_attention, tensors, direction, window, "cpu", torch.float32)
    ours = run(default_attention, tensors, direction, window, device, torch.float32)
    for a, b in zip(ours, true, strict=True):
        assert (a - b).abs().max() < 1e-4 * max(1.0, b.abs().max())


def test_halves_on_cuda_go_to_the_flash_kernel(device):
    query = torch.zeros(10, 4, 64, dtype=torch.bfloat16, device=device)
    expected = flash_attention if device.type == "cuda" else sdpa_attention
    assert choose_attention(query) is expected
