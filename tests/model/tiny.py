"""A model small enough for every test, with a window that documents outgrow."""

from dataclasses import replace

import torch

from model import CWM, CWMConfig
from model.config import RopeScaling

CONFIG = CWMConfig(
    vocab_size=320,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=6,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    rope_theta=1e4,
    rope_scaling=RopeScaling(factor=16.0, original_context=64),
    max_position_embeddings=4096,
    sliding_window=16,
    initializer_range=0.15,  # large enough that attention matters to the logits
    bos_token_id=64,
    eos_token_ids=(65, 72, 73),
)


def build(seed=0, recompute="none", **changes):
    """A model of `CONFIG` with ``changes``, its weights drawn from ``seed``."""
    torch.manual_seed(seed)
    return CWM(replace(CONFIG, **changes), recompute=recompute).eval()


def ids_of(length, seed=1):
    """``length`` random token ids."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, CONFIG.vocab_size, (length,), generator=generator)
