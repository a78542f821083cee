"""Rotary position embedding, rotate-half layout, with Llama 3's frequency rescaling.

Shape suffixes: T tokens, H heads, D head dimension.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch

from model.config import CWMConfig, RopeScaling

Rope = tuple[torch.Tensor, torch.Tensor]
"""cos and sin [T, 1, D] of each token's angles; sin carries rotate-half's sign."""


@lru_cache(maxsize=64)
def inverse_frequencies(
    theta: float, head_dim: int, scaling: RopeScaling | None, device: torch.device
) -> torch.Tensor:
    """Return the float32 frequencies [D / 2]; not a buffer, so that no cast can round them."""
    with torch.inference_mode(False):  # the cached tensor must serve training too
        exponents = torch.arange(0, head_dim, 2, dtype=torch.int64).float() / head_dim
        frequencies = 1.0 / theta**exponents
        if scaling is not None:
            low, high = scaling.low_freq_factor, scaling.high_freq_factor
            turns = scaling.original_context * frequencies / (2 * math.pi)  # within the context
            kept = ((turns - low) / (high - low)).clamp(0, 1)
            frequencies = (1 - kept) * frequencies / scaling.factor + kept * frequencies
        return frequencies.to(device)


def rope_of(positions_T: torch.Tensor, config: CWMConfig, dtype: torch.dtype) -> Rope:
    """Return cos and sin for tokens at ``positions_T``; once per forward, for all layers.

    The angles are computed in float32; ``dtype`` is the type of the result.
    """
    frequencies = inverse_frequencies(
        config.rope_theta, config.head_dim, config.rope_scaling, positions_T.device
    )
    angles = torch.outer(positions_T.float(), frequencies)
    cos, sin = angles.cos(), angles.sin()
    cos_TD, sin_TD = torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)
    return cos_TD.to(dtype).unsqueeze(1), sin_TD.to(dtype).unsqueeze(1)


class _Rotate(torch.autograd.Function):
    """x cos + swap_halves(x) sin as one node: in a tiny model a node costs more than its work."""

    @staticmethod
    def forward(
        context: torch.autograd.function.FunctionCtx,
        x: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
    ) -> torch.Tensor:
        context.save_for_backward(cos, sin)
        return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin).to(x.dtype)

    @staticmethod
    def backward(
        context: torch.autograd.function.FunctionCtx, grad: torch.Tensor
    ) -> tuple[torch.Tensor, None, None]:
        cos, sin = context.saved_tensors  # type: ignore[attr-defined]
        # a rotation's transpose is the rotation back
        back = torch.addcmul(grad * cos, grad.roll(grad.shape[-1] // 2, -1), -sin)
        return back.to(grad.dtype), None, None


def rotate(x_THD: torch.Tensor, rope: Rope) -> torch.Tensor:
    """Return ``x_THD`` turned by each token's angles, in its own type (a half is turned in
    float32).
    """
    turned: torch.Tensor = _Rotate.apply(x_THD, *rope)
    return turned
