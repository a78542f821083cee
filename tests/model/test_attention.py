import pytest
import torch

from model import Packing
from model.attention import cpu_attention

HEADS, KV_HEADS, DIM = 4, 2, 8


def reference(q, k, v, packing, window):
    """Attention written out: a loop over tokens and heads."""
    out = torch.zeros_like(q)
    start = 0
    for length in packing.lengths:
        for i in range(length):
            first = 0 if window is None else max(0, i - window + 1)
            seen = slice(start + first, start + i + 1)
            for head in range(HEADS):
                group = head * KV_HEADS // HEADS
                scores = k[seen, group] @ q[start + i, head] / DIM**0.5
                out[start + i, head] = scores.softmax(0) @ v[seen, group]
        start += length
    return out


def tensors(tokens, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((tokens, HEADS, DIM), (tokens, KV_HEADS, DIM), (tokens, KV_HEADS, DIM))
    return [torch.randn(s, generator=generator, requires_grad=True) for s in shapes]


CASES = {
    "one masked call": ([5, 9, 1, 7, 30], 4),
    "documents within the window": ([90, 120, 60], 128),
    "document a little longer than the window": ([100, 40], 64),
    "chunked, window not a multiple of the chunk": ([300, 150], 70),
    "chunked, single document": ([450], 200),
    "global": ([300, 150], None),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_attention_written_out(name):
    lengths, window = CASES[name]
    packing = Packing.of(lengths)
    q, k, v = tensors(packing.tokens)
    ours, true = cpu_attention(q, k, v, packing, window), reference(q, k, v, packing, window)
    assert (ours - true).abs().max() < 1e-5
    direction = torch.randn(true.shape, generator=torch.Generator().manual_seed(2))
    for a, b in zip(
        torch.autograd.grad(ours, (q, k, v), direction),
        torch.autograd.grad(true, (q, k, v), direction),
        strict=True,
    ):
        assert (a - b).abs().max() < 1e-4


def test_window_counts_the_token_itself():
    packing = Packing.of([300])
    q, k, v = tensors(300)
    ours = cpu_attention(q, k, v, packing, 70)
    assert (ours - reference(q, k, v, packing, 70)).abs().max() < 1e-5
    for wrong in (69, 71):
        assert (ours - reference(q, k, v, packing, wrong)).abs().max() > 1e-3


def test_masks_made_while_sampling_serve_training():
    lengths, window = [11, 3, 2, 4], 6
    with torch.inference_mode():
        q, k, v = (x.detach() for x in tensors(20))
        cpu_attention(q, k, v, Packing.of(lengths), window)
    q, k, v = tensors(20)
    cpu_attention(q, k, v, Packing.of(lengths), window).sum().backward()
    assert q.grad is not None
