"""Trainings in which one batch is poisoned, or left out; what ranks run, so it is a module."""

from __future__ import annotations

from contextlib import ExitStack
from unittest import mock

import numpy as np
import torch

from cluster.dag.metrics import read_metrics
from stages.training import loop
from stages.training.checkpoints import Checkpoints
from stages.training.rows import Rows
from stages.training.step import Stepper


def losses_of(job):
    """Return the logged loss of every step, by step."""
    return {
        line["step"]: line["metrics"]["loss"]
        for line in read_metrics(job.metrics_file)
        if "loss" in line["metrics"]
    }


def trained(job, poison=(), factor=torch.nan, leave_out=None):
    """Train; return this rank's shards: weights in float32, AdamW's moments and step counts.

    The losses of the steps that start after ``poison`` others are multiplied by ``factor``, on rank
    0 alone; the rows of the step after ``leave_out`` others are passed by.
    """
    forward, take, export = Stepper._forward, Rows.take, loop.export
    found, at = [], [0]

    def poisoned(stepper, batch):
        loss, z_mean = forward(stepper, batch)
        rank = torch.distributed.get_rank()
        return (loss * factor if at[0] in poison and rank == 0 else loss), z_mean

    def passing(rows, cursor, count):
        if cursor.step == leave_out:
            _, cursor = take(rows, cursor, count)
        at[0] = cursor.step
        return take(rows, cursor, count)

    def kept(job, checkpoints, engine):
        groups = engine.optimizer.fp32_partitioned_groups_flat
        found.extend(group.detach().clone() for group in groups)
        for state in engine.optimizer.optimizer.state.values():
            found.extend(state[name].clone() for name in ("exp_avg", "exp_avg_sq", "step"))
        export(job, checkpoints, engine)

    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(Stepper, "_forward", poisoned))
        patches.enter_context(mock.patch.object(Rows, "take", passing))
        patches.enter_context(mock.patch.object(loop, "export", kept))
        loop.train(job, Checkpoints(job.scratch / "checkpoints"))
    return [tensor.numpy() for tensor in found]


def same(first, second):
    """Say whether two results of `trained` are the same to the bit."""
    return len(first) == len(second) > 3 and all(map(np.array_equal, first, second))


def several(*trainings):
    """Train one after the other, each given as `trained`'s arguments; return all results."""
    return [trained(*arguments) for arguments in trainings]
