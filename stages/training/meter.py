"""What is summed up between two lines of metrics."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch


@dataclass(slots=True)
class Meter:
    """Sums since the last line of metrics; kept as tensors, since reading one waits for the
    device."""

    loss: torch.Tensor | None = None
    weight: float = 0.0
    tokens: int = 0
    since: float = field(default_factory=time.perf_counter)

    def add(self, loss: torch.Tensor, weight: float, tokens: int) -> None:
        """Add a forward pass: its summed loss, summed weight, and tokens."""
        self.loss = loss if self.loss is None else self.loss + loss
        self.weight += weight
        self.tokens += tokens

    def totals(self) -> list[float]:
        """Return summed loss, weight and tokens of this worker."""
        return [float(self.loss if self.loss is not None else 0.0), self.weight, float(self.tokens)]
