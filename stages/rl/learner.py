"""The trainer's side of the policy: forward, backward, step, and whole weights on demand.

`Learner` is what an update needs; `TorchLearner` is the plain one for a single process. The ZeRO-3
one is in `stages.rl.zero`. Both take the same steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from cluster.devices import device
from model.checkpoint import load_pretrained
from model.config import CWMConfig
from stages.rl.batch import MicroBatch
from stages.rl.settings import RLSettings


class Learner(Protocol):
    """The policy being trained, on one of ``world`` ranks."""

    config: CWMConfig
    rank: int
    world: int
    device: torch.device

    def log_probs(self, micro: MicroBatch, temperature: float) -> torch.Tensor:
        """Log-probs of the micro-batch's labels [T], 0 where there is none; differentiable."""

    def backward(self, loss: torch.Tensor, *, last: bool) -> None:
        """Add the loss's gradient; ``last`` before a step. The ranks' losses are summed up."""

    def step(self, learning_rate: float) -> float:
        """Take an optimiser step and return the gradient norm before clipping."""

    def share(self, value: Any) -> Any:
        """Return rank 0's ``value`` on every rank."""

    def total(self, values: Sequence[float]) -> list[float]:
        """Sum each value over the ranks."""

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Whole weights on the CPU; on ranks other than 0 it may be empty. All ranks must call."""

    def save(self, folder: Path, state: Mapping[str, Any]) -> None:
        """Write this rank's part of a resumable checkpoint, and ``state``."""

    def load(self, folder: Path) -> dict[str, Any]:
        """Read a checkpoint written by `save`; return its state."""


class TorchLearner:
    """AdamW in this process."""

    rank, world = 0, 1

    def __init__(self, checkpoint: Path | str, settings: RLSettings) -> None:
        self.device = device()
        self._model = load_pretrained(checkpoint).to(self.device).train()
        self.config = self._model.config
        self._clip = settings.clip_grad_norm
        self._optimizer = torch.optim.AdamW(
            self._model.parameters(),
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
            fused=True,
        )

    def log_probs(self, micro: MicroBatch, temperature: float) -> torch.Tensor:
        """See `Learner.log_probs`."""
        losses: torch.Tensor = self._model(
            micro.ids, micro.packing, micro.labels, reduction="none", temperature=temperature
        )
        return -losses

    def backward(self, loss: torch.Tensor, *, last: bool) -> None:
        """See `Learner.backward`."""
        del last
        loss.backward()  # type: ignore[no-untyped-call]

    def step(self, learning_rate: float) -> float:
        """See `Learner.step`."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        norm = torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._clip)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return float(norm)

    def share(self, value: Any) -> Any:
        """See `Learner.share`."""
        return value

    def total(self, values: Sequence[float]) -> list[float]:
        """See `Learner.total`."""
        return list(values)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """See `Learner.state_dict`."""
        return self._model.state_dict()

    def save(self, folder: Path, state: Mapping[str, Any]) -> None:
        """See `Learner.save`."""
        folder.mkdir(parents=True, exist_ok=True)
        parts = {"model": self._model.state_dict(), "optimizer": self._optimizer.state_dict()}
        torch.save({**parts, "state": dict(state)}, folder / "learner.pt")

    def load(self, folder: Path) -> dict[str, Any]:
        """See `Learner.load`."""
        saved = torch.load(folder / "learner.pt", map_location=self.device, weights_only=False)
        self._model.load_state_dict(saved["model"])
        self._optimizer.load_state_dict(saved["optimizer"])
        state: dict[str, Any] = saved["state"]
        return state
