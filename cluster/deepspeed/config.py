"""The DeepSpeed configuration of ZeRO stage 3. Imports torch, not DeepSpeed."""

from __future__ import annotations

from typing import Any

from cluster.devices import accelerator

LARGEST_BUCKET = 500_000_000
"""Gradients reduced at once, in elements: DeepSpeed's default."""


def zero3_config(
    *,
    learning_rate: float,
    betas: tuple[float, float],
    epsilon: float,
    weight_decay: float,
    clip: float,
    accumulation: int = 1,
    bfloat16: bool = False,
    universal: bool = False,
) -> dict[str, Any]:
    """Return the DeepSpeed configuration of ZeRO stage 3 with torch's fused AdamW.

    ``accumulation`` counts forward passes per optimizer step and worker; ``clip`` is the largest
    global gradient norm (0: none); ``universal`` says that the checkpoint to load is one of
    `to_universal`.
    """
    return {
        "train_micro_batch_size_per_gpu": 1,  # one packed row of any length
        "gradient_accumulation_steps": accumulation,
        "gradient_clipping": clip,
        "optimizer": {
            "type": "AdamW",
            "params": {
                "lr": learning_rate,
                "betas": list(betas),
                "eps": epsilon,
                "weight_decay": weight_decay,
                "torch_adam": True,
                "fused": True,
            },
        },
        "bf16": {"enabled": bfloat16},
        "zero_optimization": {
            "stage": 3,
            "contiguous_gradients": True,
            # overlap needs a second stream; on CPUs it only costs
            "overlap_comm": accelerator() == "cuda",
            # else a Python autograd function around every matrix product
            "memory_efficient_linear": False,
        },
        "checkpoint": {"load_universal": universal},
        "steps_per_print": 2**31,
        "wall_clock_breakdown": False,
    }
