"""Products with a weight, ``x @ weight.T``, by the fastest library at hand for where they run.

For float32 on a CPU `torch.nn.functional.linear` calls MKL, which has no AVX-512 kernels for AMD's
processors. There oneDNN takes less than half the seconds; elsewhere about the same. It is reached
through the operator that torch's compiler emits for frozen models. Everywhere else (accelerators,
other types, autocast, a build without oneDNN) this is `F.linear`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

_WORTH_IT = 1 << 20  # multiplications; below, oneDNN's set-up (some 9 us) costs more than it saves


def linear(x: torch.Tensor, weight_NK: torch.Tensor) -> torch.Tensor:
    """Map ``x`` [..., K] to [..., N]; differentiable once in both."""
    if not _onednn_fits(x, weight_NK):
        return F.linear(x, weight_NK)
    if torch.is_grad_enabled() and (x.requires_grad or weight_NK.requires_grad):
        product: torch.Tensor = _Product.apply(x, weight_NK)
        return product
    return onednn_product(x, weight_NK)


def suits_onednn(tensor: torch.Tensor) -> bool:
    """Say whether a tensor is of the type, and where, that oneDNN is for."""
    on_cpu = tensor.device.type == "cpu" and tensor.dtype == torch.float32
    return on_cpu and torch.backends.mkldnn.is_available()


def _onednn_fits(x: torch.Tensor, weight_NK: torch.Tensor) -> bool:
    return (
        suits_onednn(x)
        and weight_NK.dtype == torch.float32
        and x.numel() * weight_NK.shape[0] >= _WORTH_IT
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()  # its compiler takes the operator for frozen weights
    )


def onednn_product(x: torch.Tensor, weight_NK: torch.Tensor) -> torch.Tensor:
    """Return oneDNN's ``x @ weight.T``, without a gradient; the weight may be in its own layout."""
    out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight_NK, None, "none", [], "")
    return out


class _Product(torch.autograd.Function):
    """All three products of a layer; those of the backward pass are two thirds of the work."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor, weight_NK: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(x, weight_NK)
        return onednn_product(x, weight_NK)

    @staticmethod
    @once_differentiable
    def backward(
        context: Any, grad: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        x, weight_NK = context.saved_tensors
        grad_x = grad_weight_NK = None
        if context.needs_input_grad[0]:
            grad_x = onednn_product(grad, weight_NK.t())
        if context.needs_input_grad[1]:
            grad_MN, x_MK = grad.flatten(0, -2), x.flatten(0, -2)
            grad_weight_NK = onednn_product(grad_MN.t(), x_MK.t())
        return grad_x, grad_weight_NK
