"""Steps that are not to be taken: the gradients are dropped, weights and optimizer stay."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch


def decide_steps(engine: Any, accept: Callable[[float], bool]) -> None:
    """Let ``accept(gradient norm)`` decide whether ``engine.step()`` changes anything.

    The norm is that before clipping, of all ranks' gradients; NaN where it is not finite, and then
    nothing is changed whatever ``accept`` returns. All ranks must decide alike.

    ZeRO-3 itself drops a step whose norm is not finite: it forgets the gradients, and no weight, no
    moment and no step count of the optimizer changes (its own ``skipped_steps`` counts it). It is
    shown such a norm for a step that is not accepted. Nothing is computed or sent twice.
    """
    optimizer = engine.optimizer
    norms_of_groups = optimizer._get_norm_groups

    def decided() -> list[torch.Tensor]:
        groups: list[torch.Tensor] = [torch.as_tensor(norm) for norm in norms_of_groups()]
        norms = torch.stack([norm.float() for norm in groups]).tolist()
        # DeepSpeed marks a norm that is not finite by -1
        norm = math.nan if min(norms) < 0 else math.hypot(*norms)
        return groups if accept(norm) else [torch.full_like(norm, math.nan) for norm in groups]

    optimizer._get_norm_groups = decided
