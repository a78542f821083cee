"""What a training stage will take, computed without running anything or importing torch."""

from __future__ import annotations

from typing import Any

from model.config import CWMConfig, RopeScaling, flops_per_token, layer_parameters, parameter_count
from stages.training.settings import ModelSettings, TrainingPlacement, TrainingSettings

STATE_BYTES = 18
"""ZeRO-3's model state per parameter, divided among the workers: 16-bit weights and gradients,
their float32 copies, and AdamW's two moments."""
GATHERED_BYTES = 4
"""Per parameter of the largest layer: its 16-bit weights and gradients, whole on every worker."""
UNIVERSAL_BYTES = 12
"""Per parameter on disk: float32 weights and the two moments."""


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


def estimate(settings: TrainingSettings, placement: TrainingPlacement) -> dict[str, float]:
    """Return parameters, tokens, FLOPs, model-state bytes per worker and disk bytes of a stage.

    Memory is weights, gradients and optimizer alone: activations and buffers come on top.
    """
    config = shape_config(
        settings.model,
        vocab_size=settings.model.vocab_size,
        context_length=settings.context_length,
        rope_scaling=None,
    )
    parameters = parameter_count(config)
    tokens = settings.steps * settings.tokens_per_step
    workers = max(placement.workers, 1)
    ends = config.vocab_size * config.hidden_size
    largest = max(layer_parameters(config), ends)
    weight_bytes = 4 if settings.precision == "float32" else 2
    return {
        "parameters": parameters,
        "tokens": tokens,
        "FLOPs": 3 * flops_per_token(config, settings.context_length) * tokens,
        "memory per GPU bytes": STATE_BYTES * parameters / workers + GATHERED_BYTES * largest,
        "disk bytes": (weight_bytes + UNIVERSAL_BYTES) * parameters,
    }
