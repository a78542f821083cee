"""How many FLOPs a step takes, and how many a second the device can do: their quotient is MFU.

Model FLOPs utilisation counts what the model needs, not what is computed again in the backward
pass, against the device's measured rate of matrix products: a bar that a real device reaches.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import cache

import torch

from model.config import GLOBAL, CWMConfig, attended_pairs, layer_parameters
from model.linear import linear

MEASURED_SECONDS = 0.5
SIZES = {"cpu": 1024}
"""Rows and columns of the square matrices that are multiplied, by type of device. A core reaches
its rate from 512 on."""
SIZE = 8192
"""On every other device."""


@cache
def gemm_flops_per_second(device: torch.device, dtype: torch.dtype) -> float:
    """Return the rate of matrix products on ``device``, measured once per process (half a second).

    It is that of the fastest repetition with the threads that torch has, so that a moment in which
    something else ran does not lower it.
    """
    size = SIZES.get(device.type, SIZE)
    x, weight = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    synchronize = torch.get_device_module(device).synchronize
    fastest = float("inf")
    with torch.no_grad():
        linear(x, weight)  # the first product also sets the library up
        synchronize()
        end = time.perf_counter() + MEASURED_SECONDS
        while (begun := time.perf_counter()) < end:
            linear(x, weight)
            synchronize()
            fastest = min(fastest, time.perf_counter() - begun)
    return 2.0 * size**3 / fastest


def step_flops(config: CWMConfig, lengths: Iterable[int], reach: int | None = None) -> float:
    """Return the FLOPs of a training step over documents of these ``lengths``, in tokens.

    Forward and backward pass, as `model.config.flops_per_token` counts them: two (four) per
    parameter of a matrix product and token, four (eight) per head dimension and pair of query and
    key. Global layers look ``reach`` tokens back, or to the beginning.
    """
    local = config.num_hidden_layers - config.layer_types.count(GLOBAL)
    tokens = pairs = 0
    for length in lengths:
        tokens += length
        pairs += local * attended_pairs(length, config.sliding_window)
        pairs += (config.num_hidden_layers - local) * attended_pairs(length, reach)
    matrices = config.num_hidden_layers * layer_parameters(config)
    matrices += config.vocab_size * config.hidden_size
    width = config.num_attention_heads * config.head_dim
    return 3.0 * (2.0 * matrices * tokens + 4.0 * width * pairs)
