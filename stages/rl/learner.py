"""The trainer's side of the policy: a ZeRO-3 engine that gives log-probs and takes steps.

Imports DeepSpeed: import this module only in the process that trains.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from cluster.deepspeed import (
    all_sum,
    build,
    gather,
    gathered,
    initialize,
    load_weights,
    set_learning_rate,
    start_process,
    to_universal,
    world_size_of,
    zero3_config,
)
from cluster.devices import device
from model.checkpoint import load_config, open_tensors
from model.transformer import CWM, Block
from stages.rl.batch import MicroBatch
from stages.rl.settings import RLPlacement, RLSettings

TAG = "policy"


class Learner:
    """The policy being trained, as one of ``world`` ranks sees it.

    ``resume`` is a checkpoint that `save` wrote, at any number of ranks; ``scratch`` is a folder
    that all ranks see.
    """

    def __init__(
        self,
        checkpoint: Path,
        settings: RLSettings,
        placement: RLPlacement,
        *,
        scratch: Path,
        resume: Path | None = None,
    ) -> None:
        start_process(placement.threads_per_worker)
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        self.device = device()
        self.config = load_config(checkpoint)
        shards = resume / TAG if resume else None
        universal = shards is not None and world_size_of(shards) != self.world
        config = zero3_config(
            learning_rate=settings.learning_rate,
            betas=settings.betas,
            epsilon=1e-8,
            weight_decay=settings.weight_decay,
            clip=settings.clip_grad_norm,
            bfloat16=settings.precision == "bfloat16",
            universal=universal,
        )
        model = build(
            config, lambda: CWM(self.config, recompute=placement.recompute), seed=settings.seed
        )
        if resume is None:
            load_weights(model, open_tensors(checkpoint).read)  # rank 0 alone reads
        self._engine = initialize(model, config, leaves=[Block])
        if shards is not None:
            self._load(_universal(shards, scratch, self.rank) if universal else shards)
        self._engine.train()

    def _load(self, shards: Path) -> None:
        self._engine.load_checkpoint(str(shards.parent), tag=shards.name)

    def log_probs(self, micro: MicroBatch, temperature: float) -> torch.Tensor:
        """Log-probs of the micro-batch's labels [T], 0 where there is none; differentiable."""
        losses: torch.Tensor = self._engine(
            micro.ids, micro.packing, micro.labels, reduction="none", temperature=temperature
        )
        return -losses

    def backward(self, loss: torch.Tensor, *, last: bool) -> None:
        """Add the loss's gradient, summed over ranks; ``last`` is the last one before a step."""
        self._engine.set_gradient_accumulation_boundary(last)
        self._engine.backward(loss * self.world)  # DeepSpeed takes the ranks' mean

    def step(self, learning_rate: float) -> float:
        """Take an optimiser step and return the gradient norm before clipping."""
        set_learning_rate(self._engine, learning_rate)
        self._engine.step()
        return float(self._engine.get_global_grad_norm())

    def share(self, value: Any) -> Any:
        """Return rank 0's ``value`` on every rank."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=self.device)
        return box[0]

    def total(self, values: Sequence[float]) -> list[float]:
        """Sum each value over the ranks."""
        return all_sum(values)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Whole weights on rank 0, nothing elsewhere; every rank must call."""
        return gather(self._engine.module)

    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield each whole weight in turn, valid until the next; every rank must take all."""
        return gathered(self._engine.module)

    def save(self, folder: Path, state: Mapping[str, Any]) -> None:
        """Write this rank's shards, and on rank 0 the ``state``, a JSON object."""
        self._engine.save_checkpoint(str(folder), tag=TAG)
        if self.rank == 0:
            (folder / "state.json").write_text(json.dumps(state))


def read_state(folder: Path) -> dict[str, Any]:
    """Return the ``state`` that `Learner.save` wrote."""
    state: dict[str, Any] = json.loads((folder / "state.json").read_text())
    return state


def _universal(shards: Path, scratch: Path, rank: int) -> Path:
    """Convert a checkpoint of another number of ranks; return the folder to load."""
    target = scratch / "universal"
    if rank == 0:
        to_universal(shards, target)
    dist.barrier()
    return target
