"""The peer of the parity tests: transformers' CwmForCausalLM with the weights of one of ours."""

import random
import tempfile
from dataclasses import replace

import torch
from transformers import AutoModelForCausalLM

from model.config import GLOBAL, LOCAL, RopeScaling
from tests.model.tiny import CONFIG, build

HEADS = [(4, 2), (4, 4), (4, 1), (6, 3), (8, 2), (1, 1)]
"""Query and key-value heads that `drawn` chooses from."""


def hf_of(model, *, attention="sdpa", dtype=torch.float32):
    """The peer of ``model``, loaded from what we save."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        peer = AutoModelForCausalLM.from_pretrained(folder, attn_implementation=attention)
    return peer.eval().to(dtype)


def drawn(seed):
    """A random configuration: heads, layers of both kinds, window, scaled or plain RoPE."""
    draw = random.Random(seed)
    heads, kv_heads = draw.choice(HEADS)
    layers = draw.randint(2, 5)
    return replace(
        CONFIG,
        hidden_size=heads * draw.choice([6, 8]),
        intermediate_size=draw.choice([24, 40]),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=draw.choice([4, 8, 10]),
        layer_types=tuple(draw.choice([GLOBAL, LOCAL, LOCAL]) for _ in range(layers)),
        sliding_window=draw.choice([2, 7, 16, 33, 300]),
        rope_theta=draw.choice([1e3, 1e6]),
        rope_scaling=draw.choice([None, RopeScaling(factor=8.0, original_context=64)]),
        rms_norm_eps=draw.choice([1e-5, 1e-6]),
    )


def loud(config, ids, packing, seed=0):
    """A model whose largest logit on this row is 6, so that a tolerance means the same in all."""
    model = build(seed, **{name: getattr(config, name) for name in config.__slots__})
    with torch.no_grad():
        model.lm_head.weight *= 6 / model(ids, packing).abs().max()
    return model
