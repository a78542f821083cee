"""The trainer's side of the policy: a ZeRO-3 engine that gives log-probs and takes steps.

Imports DeepSpeed: import this module only in the process that trains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
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
    loadable,
    restore,
    set_learning_rate,
    snapshot,
    zero3_config,
)
from cluster.deepspeed.snapshot import CopiedFile
from cluster.devices import device
from model.checkpoint import load_config, open_tensors
from model.transformer import CWM, Block
from stages.rl.batch import MicroBatch
from stages.rl.settings import RLPlacement, RLSettings
from stages.training.sequence_parallel import SequenceParallel

TAG = "policy"


class Learner:
    """The policy being trained, as one of ``world`` ranks sees it; made after `start_process`.

    ``resume`` is a checkpoint that holds what `copies` gave, at any number of ranks; ``scratch`` is
    a folder that all ranks see.
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
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        self.device = device()
        self.config = load_config(checkpoint)
        self.parallel = SequenceParallel(
            placement.sequence_parallel, self.config.num_key_value_heads
        )
        with loadable(resume / TAG, scratch) if resume else nullcontext() as found:
            shards, universal = found or (None, False)
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
                config,
                lambda: CWM(self.config, self.parallel.attention, recompute=placement.recompute),
                seed=settings.seed,
            )
            if shards is None:
                load_weights(model, open_tensors(checkpoint).read)  # rank 0 alone reads
            self._engine = initialize(model, config, leaves=[Block])
            if shards is not None:
                restore(self._engine, shards)
        self._engine.train()

    def log_probs(self, micro: MicroBatch, temperature: float) -> torch.Tensor:
        """Log-probs of the micro-batch's labels [T], 0 where there is none; differentiable.

        Where ranks share rows, ``micro`` is this rank's part (``parallel.shard``).
        """
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

    def copies(self) -> dict[str, CopiedFile]:
        """Return copies of this rank's files of a checkpoint, by path; every rank must call."""
        return snapshot(self._engine, TAG, {})
