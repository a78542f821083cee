import sys

import pytest
import torch
import torch.nn.attention.varlen
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from model import Packing
from model.attention import (
    choose_attention,
    default_attention,
    flash_attention,
    sdpa_attention,
)


def reference(q, k, v, packing, window):
    """Attention by its definition: all scores, a mask, a softmax."""
    tokens, heads, dim = q.shape
    place = torch.arange(tokens)
    document = torch.repeat_interleave(
        torch.arange(len(packing.lengths)), torch.tensor(packing.lengths)
    )
    distance = place.unsqueeze(1) - place
    seen = (distance >= 0) & (document.unsqueeze(1) == document)
    if window is not None:
        seen &= distance < window
    k, v = (x.repeat_interleave(heads // k.shape[1], 1) for x in (k, v))
    scores = torch.einsum("qhd,khd->hqk", q, k) / dim**0.5
    weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
    return torch.einsum("hqk,khd->qhd", weights, v)


def tensors(tokens, heads=4, kv_heads=2, dim=8, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((tokens, heads, dim), (tokens, kv_heads, dim), (tokens, kv_heads, dim))
    return [torch.randn(s, generator=generator, dtype=dtype, requires_grad=True) for s in shapes]


def equals_the_reference(lengths, window, heads=4, kv_heads=2, dim=8):
    packing = Packing.of(lengths)
    inputs = tensors(packing.tokens, heads, kv_heads, dim)
    ours, true = (f(*inputs, packing, window) for f in (sdpa_attention, reference))
    assert (ours - true).abs().max() < 1e-12
    direction = torch.randn(true.shape, generator=torch.Generator().manual_seed(2)).double()
    for a, b in zip(
        torch.autograd.grad(ours, inputs, direction),
        torch.autograd.grad(true, inputs, direction),
        strict=True,
    ):
        assert (a - b).abs().max() < 1e-11


CASES = {
    "one masked call": ([5, 9, 1, 7, 30], 4),
    "documents within the window": ([90, 120, 60], 128),
    "document a little longer than the window": ([100, 40], 64),
    "chunked, window not a multiple of the chunk": ([300, 150], 70),
    "chunked, window within a chunk": ([200], 3),
    "chunked, single document, as many tokens as whole chunks": ([512], 200),
    "chunks of more than 64": ([1500], 1200),
    "global": ([300, 150], None),
    "a long row of short documents": ([130] * 9, 100),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_attention_by_its_definition(name):
    equals_the_reference(*CASES[name])


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 200), min_size=1, max_size=5),
    window=st.none() | st.integers(1, 220),
    heads=st.sampled_from([(1, 1), (4, 2), (6, 2), (3, 3)]),
    dim=st.sampled_from([1, 4, 24]),
)
def test_equals_its_definition_at_any_size(lengths, window, heads, dim):
    equals_the_reference(lengths, window, *heads, dim)


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 200), min_size=2, max_size=4),
    window=st.none() | st.integers(1, 220),
)
def test_other_documents_change_nothing(lengths, window):
    packing = Packing.of(lengths)
    inputs = tensors(packing.tokens, dtype=torch.float32)
    others = tensors(packing.tokens, seed=1, dtype=torch.float32)
    first = lengths[0]
    changed = [torch.cat([b[:first], a[first:]]) for a, b in zip(inputs, others, strict=True)]
    before, after = (sdpa_attention(*x, packing, window) for x in (inputs, changed))
    assert torch.equal(before[first:], after[first:])
    assert not torch.equal(before[:first], after[:first])


@pytest.mark.parametrize("lengths", [[200], [5, 9, 1]])
def test_a_window_of_one_sees_only_the_token_itself(lengths):
    packing = Packing.of(lengths)
    q, k, v = tensors(packing.tokens)
    assert torch.equal(sdpa_attention(q, k, v, packing, 1), v.repeat_interleave(2, 1))


@pytest.mark.parametrize("lengths", [[300], [9, 12, 7]])
def test_the_window_counts_the_token_itself(lengths):
    packing = Packing.of(lengths)
    window = min(lengths) - 2 if len(lengths) > 1 else 70
    inputs = tensors(packing.tokens)
    ours = sdpa_attention(*inputs, packing, window)
    for wrong in (window - 1, window + 1):
        assert (ours - reference(*inputs, packing, wrong)).abs().max() > 1e-3


def test_gradcheck_of_the_chunked_path():
    packing = Packing.of([70, 5])
    inputs = tensors(75, 2, 1, 2)
    assert torch.autograd.gradcheck(
        lambda *x: sdpa_attention(*x, packing, 7), inputs, fast_mode=True
    )


@pytest.mark.parametrize("lengths", [[20], [100], [11, 3, 2, 4]])
def test_masks_made_while_sampling_serve_training(lengths):
    packing, window = Packing.of(lengths), 6
    with torch.inference_mode():
        sdpa_attention(*(x.detach() for x in tensors(packing.tokens)), packing, window)
    q, k, v = tensors(packing.tokens)
    sdpa_attention(q, k, v, packing, window).sum().backward()
    assert q.grad is not None


def test_autocast_decides_the_type_and_a_cpu_computes_in_float32():
    packing, inputs = Packing.of([200]), tensors(200, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        out = default_attention(*inputs, packing, 50)
    wide = sdpa_attention(*inputs, packing, 50)
    assert out.dtype == torch.bfloat16 and torch.equal(out, wide.bfloat16())
    out.float().sum().backward()
    assert inputs[0].grad.dtype == torch.float32


class OnCuda:
    """What a choice looks at."""

    is_cuda = True

    def __init__(self, dtype, dim):
        self.dtype, self.shape = dtype, (10, 4, dim)


def test_flash_attention_is_for_half_precision_on_cuda():
    assert choose_attention(torch.zeros(10, 4, 8)) is sdpa_attention
    assert choose_attention(torch.zeros(10, 4, 8).bfloat16()) is sdpa_attention
    assert choose_attention(OnCuda(torch.bfloat16, 128)) is flash_attention
    assert choose_attention(OnCuda(torch.float16, 24)) is flash_attention
    assert choose_attention(OnCuda(torch.float32, 128)) is sdpa_attention
    assert choose_attention(OnCuda(torch.bfloat16, 20)) is sdpa_attention
    assert choose_attention(OnCuda(torch.bfloat16, 512)) is sdpa_attention


@pytest.mark.parametrize("window", [None, 1, 4])
def test_flash_attention_is_told_the_window_as_its_kernel_counts(monkeypatch, window):
    def varlen_attn(q, k, v, begins, same, longest, longest_k, *, window_size, enable_gqa):
        """The kernel's documented meaning: from i - left to i + right, both included."""
        assert begins is same and longest == longest_k == 9 and isinstance(longest, int)
        assert begins.dtype == torch.int32 and enable_gqa
        left, right = window_size
        assert right == 0
        lengths = begins.diff().tolist()
        return reference(q, k, v, Packing.of(lengths), None if left == -1 else left + 1)

    monkeypatch.setattr(sys.modules["torch.nn.attention.varlen"], "varlen_attn", varlen_attn)
    packing = Packing.of([5, 9, 1])
    inputs = tensors(15)
    ours = flash_attention(*inputs, packing, window)
    assert torch.equal(ours, reference(*inputs, packing, window))


class Written(TorchDispatchMode):
    """Counts the elements of all that operations returned."""

    elements = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        out = function(*arguments, **options or {})
        found = out if isinstance(out, tuple | list) else (out,)
        self.elements += sum(x.numel() for x in found if isinstance(x, torch.Tensor))
        return out


def test_four_times_the_tokens_are_four_times_the_work_forward_and_backward():
    counts = []
    for tokens in (2048, 8192):
        q, k, v = tensors(tokens, 2, 1, 4, dtype=torch.float32)
        packing = Packing.of([tokens])
        with Written() as written:
            sdpa_attention(q, k, v, packing, 256).sum().backward()
        counts.append(written.elements)
    assert counts[1] < 4.4 * counts[0]
