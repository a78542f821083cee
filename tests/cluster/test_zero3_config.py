"""What DeepSpeed is told, by device, by placement and by model."""

import pytest

from cluster.deepspeed import config as subject
from cluster.deepspeed import zero3_config

OPTIMIZER = {
    "learning_rate": 1e-3,
    "betas": (0.9, 0.95),
    "epsilon": 1e-8,
    "weight_decay": 0.1,
    "clip": 1.0,
}


@pytest.fixture
def world(monkeypatch):
    """Return a function that makes a process believe in a device and a number of workers."""

    def pretend(accelerator, workers):
        monkeypatch.setattr(subject, "accelerator", lambda: accelerator)
        monkeypatch.setattr(subject.dist, "is_initialized", lambda: True)
        monkeypatch.setattr(subject.dist, "get_world_size", lambda: workers)

    return pretend


def zero(**placement):
    return zero3_config(**OPTIMIZER, **placement)["zero_optimization"]


@pytest.mark.parametrize(("accelerator", "on_gpu"), [("cuda", True), ("cpu", False)])
def test_only_gpus_overlap_and_lock_pages(world, accelerator, on_gpu):
    world(accelerator, 8)
    found = zero(offload="all")
    assert found["overlap_comm"] is on_gpu
    assert found["offload_param"] == found["offload_optimizer"]
    assert found["offload_param"] == {"device": "cpu", "pin_memory": on_gpu}
    assert "offload_param" not in zero(offload="optimizer")
    assert not {"offload_param", "offload_optimizer"} & set(zero())


@pytest.mark.parametrize(
    ("workers", "within", "size"), [(16, 8, 8), (8, 8, 1), (12, 8, 1), (16, 0, 1), (16, 1, 1)]
)
def test_a_second_partition_takes_several_whole_groups(world, workers, within, size):
    world("cpu", workers)
    assert zero(partition_within=within)["zero_hpz_partition_size"] == size


def test_gradients_are_summed_as_asked_and_accumulated_in_float32():
    for asked, name in (("float32", "fp32"), ("bfloat16", "bf16")):
        found = zero3_config(**OPTIMIZER, bfloat16=True, gradient_dtype=asked)
        assert found["communication_data_type"] == name
        assert found["data_types"] == {"grad_accum_dtype": "fp32"} and found["bf16"]["enabled"]


def test_sizes_fit_the_model(world):
    world("cuda", 8)
    config = zero3_config(**OPTIMIZER)
    small = subject.fitted(config, elements=1000, largest=10)["zero_optimization"]
    assert small["reduce_bucket_size"] == 1000
    assert small["stage3_prefetch_bucket_size"] == subject.PREFETCH
    block = 484_454_400  # of CWM
    large = subject.fitted(config, elements=32_581_097_472, largest=block)["zero_optimization"]
    assert large["reduce_bucket_size"] == subject.LARGEST_BUCKET
    assert large["stage3_prefetch_bucket_size"] == block
