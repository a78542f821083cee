"""What a training stage will take, computed without running anything or importing torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from model.config import CWMConfig, RopeScaling, flops_per_token, parameter_count
from stages.training import memory
from stages.training.settings import ModelSettings, TrainingPlacement, TrainingSettings

CHECKPOINT_BYTES = 12
"""Per parameter of a checkpoint to resume from: float32 weights and AdamW's two moments."""
TOKEN_BYTES = 5
"""Of a token file: four for the id, one for its loss weight."""


def shape_config(
    settings: ModelSettings,
    *,
    vocab_size: int,
    context_length: int,
    rope_scaling: RopeScaling | None,
    **specials: Any,
) -> CWMConfig:
    """Return the model's configuration; ``specials`` are its special token ids."""
    return CWMConfig(
        vocab_size=vocab_size,
        hidden_size=settings.hidden_size,
        intermediate_size=settings.intermediate_size,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.kv_heads,
        head_dim=settings.head_dim,
        rope_theta=settings.rope_theta,
        rope_scaling=rope_scaling,
        max_position_embeddings=context_length,
        sliding_window=settings.sliding_window,
        initializer_range=settings.initializer_range,
        scale_residual_init=settings.scale_residual_init,
        **specials,
    )


def estimate(settings: TrainingSettings, placement: TrainingPlacement) -> dict[str, Any]:
    """Return what a stage takes: label to number, or words; `formulas` explains the labels."""
    config = shape_config(
        settings.model,
        vocab_size=settings.model.vocab_size,
        context_length=settings.context_length,
        rope_scaling=None,
    )
    tokens = settings.steps * settings.tokens_per_step
    flops = 3 * flops_per_token(config, settings.context_length) * tokens
    found: dict[str, Any] = {
        "parameters": parameter_count(config),
        "tokens": tokens,
        "token file bytes": TOKEN_BYTES * tokens,
        "FLOPs": flops,
    }
    found |= _memory(config, settings, placement)
    found |= _disk(parameter_count(config), settings, placement)
    found |= _time(flops, settings, placement)
    return found


def formulas() -> Mapping[str, str]:
    """Return how each label of `estimate` is computed, in words."""
    return {
        "token file bytes": "5 tokens, if no token is seen twice",
        "FLOPs": "3 x tokens x (2 x parameters of matrix products + 4 x heads x head_dim x keys"
        " that a token sees, windows counted): as if every document filled the context",
        **memory.FORMULAS,
        "checkpoint bytes": "12 P x (keep_checkpoints + 1 in the making + steps / keep_every)",
        "export bytes": "b P",
        "disk bytes": "both, while the stage runs; 24 P more while it resumes with other workers",
        "step seconds": "FLOPs / steps / (workers x device.flops_per_second x device.utilisation)",
        "GPU hours": "workers x hours; the utilisation is assumed, not measured",
        "cost": "GPU hours x device.price_per_hour",
    }


def _memory(
    config: CWMConfig, settings: TrainingSettings, placement: TrainingPlacement
) -> dict[str, Any]:
    held = memory.memory(config, settings, placement)
    parts = asdict(held)
    host = parts.pop("host")
    found: dict[str, Any] = {f"{name} bytes": value for name, value in parts.items() if value}
    found["memory per GPU bytes"] = held.total
    if placement.device.memory:
        room = f"{placement.device.memory / 1e9:g} GB"
        found["fits"] = f"in {room}" if held.total <= placement.device.memory else f"NOT in {room}"
    found["host memory bytes"] = host
    return found


def _disk(
    parameters: int, settings: TrainingSettings, placement: TrainingPlacement
) -> dict[str, float]:
    count = placement.keep_checkpoints + 1
    if placement.keep_every:
        count += settings.steps // placement.keep_every
    checkpoints = CHECKPOINT_BYTES * parameters * count
    export = (4 if settings.precision == "float32" else 2) * parameters
    return {
        "checkpoint bytes": checkpoints,
        "export bytes": export,
        "disk bytes": checkpoints + export,
    }


def _time(
    flops: float, settings: TrainingSettings, placement: TrainingPlacement
) -> dict[str, float]:
    device, workers = placement.device, max(placement.workers, 1)
    if not device.flops_per_second:
        return {}
    seconds = flops / (workers * device.flops_per_second * device.utilisation)
    found = {"step seconds": seconds / settings.steps, "hours": seconds / 3600}
    names = {"gpu_hours": "GPU hours", "cost": "cost"}
    return found | {names[k]: value for k, value in spent(placement, seconds).items()}


def spent(placement: TrainingPlacement, seconds: float) -> dict[str, float]:
    """Return what so many seconds of a stage cost: "gpu_hours" and, where GPUs have a price,
    "cost"; nothing without GPUs."""
    if not placement.gpus_per_worker:
        return {}
    hours = max(placement.workers, 1) * placement.gpus_per_worker * seconds / 3600
    price = placement.device.price_per_hour
    return {"gpu_hours": hours, **({"cost": hours * price} if price else {})}
