"""The DeepSpeed configuration of ZeRO stage 3. Imports torch, not DeepSpeed.

What is chosen here by device: overlapping communication with computation takes a second stream,
which only GPUs have; page-locked memory speeds up copies to and from a GPU only. Nothing here ran
on a GPU when it was written: what holds there alone follows DeepSpeed's documentation
(https://www.deepspeed.ai/docs/config-json/).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch.distributed as dist

from cluster.devices import accelerator

LARGEST_BUCKET = 500_000_000
"""Gradients reduced at once, in elements: DeepSpeed's default."""
PREFETCH = 50_000_000
"""Elements gathered ahead of their use, where modules are small: DeepSpeed's default."""
_EVERYTHING = 2**40
"""Elements: more than any model has."""

Offload = Literal["none", "optimizer", "all"]
Number = Literal["float32", "bfloat16"]


def zero3_config(
    *,
    learning_rate: float,
    betas: tuple[float, float],
    epsilon: float,
    weight_decay: float,
    clip: float,
    bfloat16: bool = False,
    offload: Offload = "none",
    partition_within: int = 0,
    gradient_dtype: Number = "float32",
    universal: bool = False,
) -> dict[str, Any]:
    """Return the DeepSpeed configuration of ZeRO stage 3 with torch's fused AdamW.

    ``clip`` is the largest global gradient norm (0: none); ``gradient_dtype`` the type in which
    gradients are summed over workers (they are accumulated in float32 always); ``offload`` says
    what lies in the node's memory; ``partition_within`` so many workers weights are partitioned a
    second time (see `_zero`); ``universal`` that the checkpoint to load is one of `to_universal`.
    """
    return {
        "train_micro_batch_size_per_gpu": 1,  # one packed row of any length
        "gradient_accumulation_steps": 1,  # whoever trains says which pass is a step's last
        "gradient_clipping": clip,
        "optimizer": {
            "type": "AdamW",
            "params": {
                "lr": learning_rate,
                "betas": list(betas),
                "eps": epsilon,
                "weight_decay": weight_decay,
                # also where the state lies in the node's memory: DeepSpeed's own takes a compiler
                "torch_adam": True,
                "fused": True,
            },
        },
        "bf16": {"enabled": bfloat16},
        "communication_data_type": {"float32": "fp32", "bfloat16": "bf16"}[gradient_dtype],
        "data_types": {"grad_accum_dtype": "fp32"},
        "zero_optimization": _zero(offload, partition_within),
        "checkpoint": {"load_universal": universal},
        "steps_per_print": 2**31,
        "wall_clock_breakdown": False,
    }


def _zero(offload: Offload, partition_within: int) -> dict[str, Any]:
    """What is partitioned, where it lies and when it is gathered.

    ``partition_within`` is ZeRO++'s hierarchical partitioning (hpZ, Wang et al., 2023,
    arXiv:2306.10209): what the forward pass gathered is kept, partitioned over the workers of a
    group (of a node), and the backward pass gathers it from there. It costs as many bytes as the
    weights have, divided by the group's size. It takes a world that groups divide and that has more
    than one; in another (after workers were lost) the weights are partitioned once, as always.
    """
    on_gpu, workers = accelerator() == "cuda", dist.get_world_size() if dist.is_initialized() else 1
    second = 1 < partition_within < workers and workers % partition_within == 0
    zero: dict[str, Any] = {
        "stage": 3,
        "contiguous_gradients": True,
        # overlap needs a second stream; on CPUs it only costs
        "overlap_comm": on_gpu,
        # else a Python autograd function around every matrix product
        "memory_efficient_linear": False,
        "zero_hpz_partition_size": partition_within if second else 1,
        "reduce_scatter": workers > 1,  # else two copies of all gradients for nothing
    }
    in_node = {"device": "cpu", "pin_memory": on_gpu}
    if offload != "none":
        zero["offload_optimizer"] = in_node
    if offload == "all":
        zero["offload_param"] = in_node
    else:
        # what is not divided need not be gathered and let go either; of what is, small parameters
        # come with their blocks: kept whole, they would be gathered one by one after each step
        zero["stage3_param_persistence_threshold"] = _EVERYTHING if workers == 1 else 0
    return zero


def fitted(config: Mapping[str, Any], *, elements: int, largest: int) -> dict[str, Any]:
    """Return the configuration with the sizes of a model of so many ``elements`` in all, and in the
    ``largest`` module whose parameters are gathered together."""
    sizes = {
        # the bucket is allocated whole, also for a model of a few megabytes
        "reduce_bucket_size": min(LARGEST_BUCKET, elements),
        # while a block is computed the next one comes, as a whole
        "stage3_prefetch_bucket_size": max(PREFETCH, largest),
    }
    return {**config, "zero_optimization": {**sizes, **config["zero_optimization"]}}
