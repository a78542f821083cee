"""Estimates at the paper's scale, against figures published or computed elsewhere."""

import subprocess
import sys
from dataclasses import replace

import pytest

from stages.pretrain.settings import PretrainSettings
from stages.training.estimate import estimate, formulas
from stages.training.settings import (
    DeviceSettings,
    ModelSettings,
    ScheduleSettings,
    TrainingPlacement,
)

CWM = ModelSettings(
    hidden_size=6144,
    intermediate_size=21504,
    layers=64,
    heads=48,
    kv_heads=8,
    head_dim=128,
    sliding_window=8192,
    rope_theta=1e6,
    vocab_size=128_256,
)


PRETRAIN = PretrainSettings(
    model=CWM,
    context_length=8192,
    row_tokens=8192,
    rows_per_step=1024,
    steps=1000,
    precision="bfloat16",
    schedule=ScheduleSettings(horizon_tokens=10**13),
)


def test_the_papers_model_on_64_gpus():
    found = estimate(PRETRAIN, TrainingPlacement(workers=64))
    assert found["parameters"] == 32_581_097_472
    assert found["tokens"] == 1000 * 1024 * 8192
    assert found["token file bytes"] == 5 * found["tokens"]
    assert found["FLOPs"] / found["tokens"] == pytest.approx(210.1e9, rel=0.01)
    # DeepSpeed's own estimate for 8 nodes of 8 GPUs has 11.47 GiB, 4 bytes per parameter of the
    # largest layer among them
    largest = 128_256 * 6144
    assert (found["state bytes"] + 4 * largest) / 2**30 == pytest.approx(11.47, rel=0.01)


def test_what_is_offloaded_leaves_the_gpu():
    kept, optimizer, everything = (
        estimate(PRETRAIN, TrainingPlacement(workers=64, offload=what))
        for what in ("none", "optimizer", "all")
    )
    weights = 2 * 32_581_097_472 / 64
    assert kept["state bytes"] == pytest.approx(9 * weights)
    assert optimizer["state bytes"] == pytest.approx(weights)
    assert "state bytes" not in everything
    for found in (optimizer, everything):
        assert found["host memory bytes"] > kept["host memory bytes"] + kept["state bytes"] * 0.8


def test_hierarchical_partitioning_costs_the_weights_once_per_node():
    apart = estimate(PRETRAIN, TrainingPlacement(workers=64))
    within = estimate(PRETRAIN, TrainingPlacement(workers=64, partition_within=8))
    more = within["memory per GPU bytes"] - apart["memory per GPU bytes"]
    assert more == pytest.approx(2 * 32_581_097_472 / 8)


def test_sequence_parallelism_divides_what_tokens_take():
    alone, shared = (
        estimate(PRETRAIN, TrainingPlacement(workers=64, sequence_parallel=size)) for size in (1, 8)
    )
    assert alone["activation bytes"] == pytest.approx(8 * shared["activation bytes"])


def test_disk_holds_every_checkpoint_that_is_kept():
    once = 12 * 32_581_097_472
    placement = TrainingPlacement(workers=64, keep_checkpoints=2, keep_every=100)
    found = estimate(PRETRAIN, placement)
    assert found["checkpoint bytes"] == (2 + 1 + 10) * once
    assert found["disk bytes"] == found["checkpoint bytes"] + 2 * 32_581_097_472


def test_time_and_money_follow_from_the_device():
    assert "step seconds" not in estimate(PRETRAIN, TrainingPlacement(workers=64))
    device = DeviceSettings(flops_per_second=1e15, utilisation=0.5, memory=1e9, price_per_hour=2)
    placement = TrainingPlacement(workers=64, gpus_per_worker=1, device=device)
    found = estimate(PRETRAIN, placement)
    assert found["step seconds"] * 1000 * 64 * 5e14 == pytest.approx(found["FLOPs"])
    assert found["GPU hours"] == pytest.approx(64 * found["hours"])
    assert found["cost"] == pytest.approx(2 * found["GPU hours"])
    assert found["fits"] == "NOT in 1 GB"
    roomy = replace(placement, device=replace(device, memory=1e12))
    assert estimate(PRETRAIN, roomy)["fits"] == "in 1000 GB"


def test_every_computed_label_is_explained():
    device = DeviceSettings(flops_per_second=1e15, memory=1e9, price_per_hour=2)
    placement = TrainingPlacement(workers=64, gpus_per_worker=1, device=device)
    found = estimate(PRETRAIN, placement)
    assert found.keys() - formulas().keys() == {"tokens", "fits", "hours"}
    assert formulas().keys() <= found.keys()


def test_planning_imports_nothing_heavy():
    code = (
        "import sys; import stages.pretrain, stages.midtrain, stages.sft, stages.training.estimate;"
        "assert not {'torch', 'ray', 'deepspeed'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("name", "value"), [("utilisation", 0), ("utilisation", 1.1), ("price_per_hour", -1)]
)
def test_devices_that_cannot_be_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"DeviceSettings\.{name} = {value}"):
        DeviceSettings(**{name: value})
