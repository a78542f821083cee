"""The formulas of memory, against what the model allocates and what DeepSpeed is configured to."""

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from cluster.deepspeed import LARGEST_BUCKET
from model.config import CWMConfig
from model.loss import CHUNK
from model.packing import Packing
from model.transformer import CWM
from stages.pretrain.settings import PretrainSettings
from stages.training import memory
from stages.training.settings import TrainingPlacement

TOKENS = 256


def shape(layers):
    return CWMConfig(
        vocab_size=512,
        hidden_size=96,
        intermediate_size=256,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=24,
        sliding_window=256,
        rope_scaling=None,
    )


def kept(layers, recompute):
    """Bytes that are still allocated after a forward pass."""
    model = CWM(shape(layers), recompute=recompute)
    ids, packing = torch.zeros(TOKENS, dtype=torch.int64), Packing.of([TOKENS])
    model(ids, packing, ids).backward()  # what is made once is made
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        loss = model(ids, packing, ids)
    assert loss.requires_grad
    return sum(event.self_cpu_memory_usage for event in found.key_averages())


@pytest.mark.parametrize("recompute", ["none", "selective", "full"])
def test_what_a_block_keeps(recompute):
    settings = PretrainSettings(row_tokens=TOKENS)
    placement = TrainingPlacement(recompute=recompute)
    few, many = (memory.memory(shape(n), settings, placement).activation for n in (2, 6))
    expected = many - few
    if recompute == "none":  # a CPU's norms keep their quotient
        expected += 4 * 4 * TOKENS * 2 * 96
    assert kept(6, recompute) - kept(2, recompute) == pytest.approx(expected, rel=0.06)


def test_sizes_are_those_that_training_uses():
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig

    defaults = DeepSpeedZeroConfig(stage=3)
    assert memory.BUCKET == LARGEST_BUCKET
    assert memory.LIVE == defaults.max_reuse_distance == defaults.sub_group_size
    assert memory.CHUNK == CHUNK


def test_the_least_that_a_world_needs_does_not_grow_with_it():
    settings = PretrainSettings(row_tokens=TOKENS)
    held = [
        memory.memory(shape(6), settings, TrainingPlacement(workers=n)).state for n in (1, 2, 4)
    ]
    assert held[0] == 2 * held[1] == 4 * held[2]
