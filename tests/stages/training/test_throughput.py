"""A step's FLOPs, against a count by hand and against flops_per_token; the measured rate."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from model.config import CWMConfig, attended_pairs, flops_per_token
from model.packing import Packing
from model.transformer import CWM
from stages.training import throughput
from stages.training.throughput import gemm_flops_per_second, step_flops

CONFIG = CWMConfig(
    vocab_size=300,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=6,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    sliding_window=16,
    rope_scaling=None,
)


@pytest.mark.parametrize(("length", "window"), [(1, 4), (3, 4), (4, 4), (50, 4), (50, None)])
def test_pairs_are_those_of_the_mask(length, window):
    query, key = torch.arange(length)[:, None], torch.arange(length)[None]
    mask = (key <= query) & (key > query - (window or length))
    assert attended_pairs(length, window) == int(mask.sum())


def test_equal_documents_cost_what_the_average_says():
    expected = 3 * flops_per_token(CONFIG, 40) * 80
    assert step_flops(CONFIG, [40, 40]) == pytest.approx(expected)


def test_packed_documents_cost_what_each_costs():
    together = step_flops(CONFIG, [5, 17, 64])
    assert together == pytest.approx(sum(step_flops(CONFIG, [n]) for n in (5, 17, 64)))
    assert together < step_flops(CONFIG, [5 + 17 + 64])


def test_reach_saves_pairs_of_the_global_layers_alone():
    saved = step_flops(CONFIG, [64]) - step_flops(CONFIG, [64], reach=20)
    pairs = attended_pairs(64, None) - attended_pairs(64, 20)
    layers = 2  # of six: 0 and 4
    assert saved == pytest.approx(3 * 4 * 4 * 8 * layers * pairs)


def test_the_rate_is_measured_once_per_device_and_type(monkeypatch):
    monkeypatch.setattr(throughput, "MEASURED_SECONDS", 0.02)
    gemm_flops_per_second.cache_clear()
    cpu = torch.device("cpu")
    found = {dtype: gemm_flops_per_second(cpu, dtype) for dtype in (torch.float32, torch.bfloat16)}
    assert all(rate > 1e8 for rate in found.values())
    monkeypatch.setattr(throughput, "linear", None)  # would fail when measured again
    assert gemm_flops_per_second(cpu, torch.float32) == found[torch.float32]
    gemm_flops_per_second.cache_clear()


def whole_squares(q_THD, k_TKD, v_TKD, packing, window):
    """Attention that computes every pair of a document, as products that torch can count."""
    outs = []
    groups = q_THD.shape[1] // k_TKD.shape[1]
    lengths = packing.lengths
    for q, k, v in zip(*(x.split(lengths) for x in (q_THD, k_TKD, v_TKD)), strict=True):
        q_HTD = q.transpose(0, 1)
        k_HTD, v_HTD = (x.repeat_interleave(groups, 1).transpose(0, 1) for x in (k, v))
        outs.append((q_HTD @ k_HTD.transpose(1, 2)).softmax(-1) @ v_HTD)
    return torch.cat(outs, dim=1).transpose(0, 1)


def test_torch_counts_the_same_in_the_real_model():
    lengths = [5, 17, 42]
    model = CWM(CONFIG, whole_squares)
    ids, packing = torch.zeros(sum(lengths), dtype=torch.int64), Packing.of(lengths)
    with FlopCounterMode(display=False) as counted:
        model(ids, packing, ids).backward()
    layers = range(CONFIG.num_hidden_layers)
    pairs = sum(attended_pairs(n, CONFIG.window(i)) for n in lengths for i in layers)
    squares = len(layers) * sum(n * n for n in lengths)
    width = CONFIG.num_attention_heads * CONFIG.head_dim
    expected = step_flops(CONFIG, lengths) + 3 * 4 * width * (squares - pairs)
    assert counted.get_total_flops() == pytest.approx(expected, rel=1e-9)
