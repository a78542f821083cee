"""One optimizer step over the global batch."""

from __future__ import annotations

from typing import Any

import torch.distributed as dist

from cluster.devices import device
from stages.training.batch import build_batch, weight_of
from stages.training.job import Job
from stages.training.meter import Meter
from stages.training.packing import Row, Rows


def make_step(job: Job, engine: Any, taken: list[Row], rows: Rows, meter: Meter) -> None:
    """Make one optimizer step over the global batch; this worker computes its share of the rows.

    The loss is the weighted mean over the whole global batch, so that neither the number of
    workers nor the size of a forward pass weighs tokens differently.
    """
    files = [source.file for source in rows.order.sources]
    workers, micro = dist.get_world_size(), job.placement.micro_rows
    mine = taken[dist.get_rank() :: workers]
    passes = [mine[i : i + micro] for i in range(0, len(mine), micro)]
    all_weight = weight_of(taken, files)
    for part in passes:
        batch = build_batch(part, files, device())
        weight = float(batch.weights.sum())
        loss = engine(batch.ids, batch.packing, batch.labels, batch.weights)
        # the engine divides by the number of passes and averages over the workers
        share = weight / max(all_weight, 1e-9)
        engine.backward(loss * (share * len(passes) * workers))
        engine.step()
        meter.add(loss.detach() * weight, weight, len(batch.ids))
