"""What a block computes again in its backward pass instead of keeping it.

::

    none        keeps all that its gradients need
    selective   keeps matrix products and attention; norms, rotations, sums and SwiGLU's product,
                which cost next to nothing, are computed again
    full        keeps the block's input alone: a third more work
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
from torch.utils.checkpoint import (
    CheckpointPolicy,
    SelectiveCheckpointContext,
    checkpoint,
    create_selective_checkpoint_contexts,
)

Recompute = Literal["none", "selective", "full"]
"""See the module's docstring."""

KEPT = frozenset(
    {
        "aten::mm",
        "aten::addmm",
        "aten::bmm",
        "aten::baddbmm",
        "mkldnn::_linear_pointwise",
        "aten::_scaled_dot_product_flash_attention",
        "aten::_scaled_dot_product_flash_attention_for_cpu",
        "aten::_scaled_dot_product_efficient_attention",
        "aten::_scaled_dot_product_cudnn_attention",
        "torch_attn::_varlen_attn",
    }
)
"""Operators whose results "selective" keeps, as torch's dispatcher names them."""


def recomputed(
    what: Recompute, function: Callable[..., torch.Tensor], *arguments: Any
) -> torch.Tensor:
    """Return ``function(*arguments)``; its backward pass computes again what ``what`` says.

    The function must do the same whenever it is called, and call no module with ZeRO-3's hooks: it
    runs once more in the backward pass, where "selective" wants the same operators in order.
    """
    contexts: dict[str, Any] = {"context_fn": _selective} if what == "selective" else {}
    out: torch.Tensor = checkpoint(function, *arguments, use_reentrant=False, **contexts)
    return out


def _policy(
    _context: SelectiveCheckpointContext, operator: Any, *_args: Any, **_named: Any
) -> CheckpointPolicy:
    if operator.name().split(".")[0] in KEPT:
        return CheckpointPolicy.MUST_SAVE
    return CheckpointPolicy.PREFER_RECOMPUTE


_selective = partial(create_selective_checkpoint_contexts, _policy)
