"""SwiGLU's product, silu(gate) * up, with only its two factors kept for the backward pass.

Autograd would also keep silu(gate), a fifth of what a block keeps in all; computing it again costs
less than writing it to fresh memory (benchmarks.train_throughput shows what the step gains).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable


def swiglu(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """Return silu(gate) * up, elementwise; both of one shape and type."""
    product: torch.Tensor = _SwiGLU.apply(gate, up)
    return product


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(gate, up)
        return F.silu(gate).mul_(up)

    @staticmethod
    @once_differentiable
    def backward(context: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        gate, up = context.saved_tensors
        grad_up = F.silu(gate).mul_(grad)
        return torch.ops.aten.silu_backward(grad * up, gate), grad_up
