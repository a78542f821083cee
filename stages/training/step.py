"""One optimizer step over the global batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from cluster.deepspeed import decide_steps
from cluster.devices import Clock, device
from model.packing import Packing
from stages.training.batch import IGNORED, Batch, build_batch, weight_of
from stages.training.guard import Guard
from stages.training.job import Job
from stages.training.packing import Row
from stages.training.sequence_parallel import SequenceParallel
from stages.training.token_file import TokenFile


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a step; the same on all workers."""

    loss: float
    """Cross-entropy of the global batch in nats per weighted token."""
    log_z: float
    """Mean of log(z)**2, z the softmax's denominator; 0 where z-loss is off."""
    weight: float
    """Sum of the tokens' loss weights."""
    norm: float
    """Of the gradients, before clipping."""
    skipped: str
    """Why the step was not taken; "" for one that was."""
    stop: bool
    """Whether training is asked to stop."""


class Stepper:
    """Makes steps; each worker computes its share of the rows.

    The loss is the weighted mean over the whole global batch, so that neither the number of workers
    nor the size of a forward pass weighs tokens differently. Workers with fewer rows than others
    make passes that weigh nothing, for all must make equally many.
    """

    def __init__(
        self,
        job: Job,
        engine: Any,
        files: Sequence[TokenFile],
        parallel: SequenceParallel,
        guard: Guard,
    ) -> None:
        self._job, self._engine, self._files = job, engine, files
        self._parallel, self._guard = parallel, guard
        self._loss = self._norm = 0.0
        self._skipped = ""
        decide_steps(engine, self._accept)

    def make(self, taken: Sequence[Row], clock: Clock) -> Made:
        """Make one optimizer step over the global batch ``taken``, or skip it as the guard says."""
        engine, workers = self._engine, dist.get_world_size()
        all_weight = max(weight_of(taken, self._files), 1e-9)
        passes = shares(taken, self._parallel, self._job.placement.micro_rows)
        sums = torch.zeros(2, dtype=torch.float64, device=device())
        for number, rows in enumerate(passes):
            batch = read(rows, self._files, self._parallel)
            clock.lap("data")
            engine.set_gradient_accumulation_boundary(number == len(passes) - 1)
            loss, z_mean = self._forward(batch)
            clock.lap("forward")
            weight = batch.weights.sum()
            # ZeRO takes the mean over the workers, of which each has a part of the sum
            engine.backward(loss * (weight * (workers / all_weight)), scale_wrt_gas=False)
            sums += torch.stack([loss.detach(), z_mean]) * weight
            del loss, z_mean  # and with them the graph, whose end is the backward pass's time
            clock.lap("backward")
        loss_sum, z_sum, stop = self._total(sums)
        self._loss = (loss_sum - self._job.settings.z_loss * z_sum) / all_weight
        engine.step()  # asks `_accept`
        clock.lap("optimizer")
        return Made(
            loss=self._loss,
            log_z=z_sum / all_weight,
            weight=all_weight,
            norm=self._norm,
            skipped=self._skipped,
            stop=stop > 0,
        )

    def _forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what is minimised, and the mean of log(z)**2 (0 where it is of no account)."""
        given = (batch.ids, batch.packing, batch.labels, batch.weights)
        if z_loss := self._job.settings.z_loss:
            loss, z_mean = self._engine(*given, z_loss=z_loss)
            return loss, z_mean
        loss = self._engine(*given)
        return loss, torch.zeros_like(loss)

    def _total(self, sums: torch.Tensor) -> list[float]:
        """Return the sums over all workers, and whether one sees that training is to stop."""
        asked = float(self._job.is_asked_to_stop())
        if dist.get_world_size() == 1:
            return [*sums.tolist(), asked]
        total = torch.cat([sums, sums.new_tensor([asked])])
        dist.all_reduce(total)
        result: list[float] = total.tolist()
        return result

    def _accept(self, norm: float) -> bool:
        self._norm = norm
        self._skipped = self._guard.judge(self._loss, norm)
        return not self._skipped


def shares(taken: Sequence[Row], parallel: SequenceParallel, micro_rows: int) -> list[list[Row]]:
    """Return the rows of each of this worker's passes; as many passes as every other worker makes,
    so that some may have no rows."""
    mine = list(taken[parallel.data_rank :: parallel.data_size])
    most = -(-len(taken) // parallel.data_size)
    return [mine[i : i + micro_rows] for i in range(0, most, micro_rows)]


def read(rows: Sequence[Row], files: Sequence[TokenFile], parallel: SequenceParallel) -> Batch:
    """Return this worker's part of some rows; for no rows a token that is not scored."""
    if rows:
        return parallel.shard(build_batch(rows, files, device()))
    nothing = torch.zeros(1, dtype=torch.int64, device=device())
    return parallel.shard(
        Batch(
            ids=nothing,
            labels=nothing + IGNORED,
            weights=nothing.float(),
            packing=Packing.of([1], device()),
        )
    )
