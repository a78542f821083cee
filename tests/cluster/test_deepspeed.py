"""ZeRO-3 by itself: weights of a wrong shape and absent shards are named."""

import pytest
import torch

from cluster.deepspeed import (
    ShardError,
    build,
    gather,
    load_weights,
    start_process,
    to_universal,
    world_size_of,
    zero3_config,
)
from cluster.devices import accelerator, device, dist_backend

CONFIG = zero3_config(
    learning_rate=1e-3, betas=(0.9, 0.95), epsilon=1e-8, weight_decay=0.1, clip=1.0
)


def test_device_choice_is_consistent():
    assert (accelerator(), dist_backend()) in {("cpu", "gloo"), ("cuda", "nccl")}
    assert device().type == accelerator()


def test_weights_are_loaded_and_gathered_one_by_one():
    start_process()
    model = build(CONFIG, lambda: torch.nn.Linear(3, 2, bias=False), seed=0)
    assert model.weight.numel() == 0  # a shard from birth
    wanted = torch.arange(6.0).view(2, 3)
    load_weights(model, lambda name: wanted)
    assert torch.equal(gather(model)["weight"], wanted)
    with pytest.raises(ShardError, match=r"weight is \(3, 3\) in the checkpoint"):
        load_weights(model, lambda name: torch.ones(3, 3))


def test_absent_shards_are_named(tmp_path):
    with pytest.raises(ShardError, match="holds no optimizer shards"):
        world_size_of(tmp_path)
    with pytest.raises(ShardError, match="holds no optimizer shards"):
        to_universal(tmp_path, tmp_path / "target")
