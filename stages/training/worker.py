"""Starts the training of a job: in Ray Train workers, or in this process."""

from __future__ import annotations

import logging
import pickle
from typing import Any

from cluster.dag.errors import StoppedError
from stages.training.checkpoints import (
    FOLDER,
    Checkpoints,
    CheckpointWriteError,
    OtherModelError,
    whole_checkpoints,
)
from stages.training.guard import DivergedError
from stages.training.job import RESULT, Job
from stages.training.ray_train import run_workers
from stages.training.settings import bundles
from stages.training.state import DataMismatchError
from stages.training.token_file import TokenFileError

ERROR = "error.pickle"
"""What a worker leaves in the scratch directory when starting it again would not help."""

log = logging.getLogger(__name__)


def run_job(job: Job) -> bool:
    """Train; returns when the checkpoint is exported, True if other processes did it.

    Where Ray is initialised, lost workers are replaced, up to ``max_failures`` times, and training
    goes on from the last checkpoint: with ``min_workers``, by as many as there is room for. Without
    Ray, and for no workers, this process trains alone: it takes all rows of the global batch, so
    the result differs only by rounding.

    Raises `StoppedError` when ``job.stop_file`` ended training early, after a checkpoint, and what
    `stages.training.loop.train` raises.
    """
    import ray

    job.scratch.mkdir(parents=True, exist_ok=True)
    result = job.scratch / RESULT
    for left in (result, job.scratch / ERROR):
        left.unlink(missing_ok=True)
    with_ray = job.placement.workers > 0 and ray.is_initialized()
    if with_ray:
        if last := next(whole_checkpoints(job.scratch / FOLDER), None):
            log.info("goes on after step %d", last.step)
        placement = job.placement
        run_workers(
            _in_worker,
            {"job": job},
            workers=placement.workers,
            min_workers=placement.min_workers,
            bundle=bundles(placement, job.settings)[0],
            scratch=job.scratch,
            max_failures=placement.max_failures,
        )
    else:
        _run_here(job)
    if not result.exists():  # the workers ended well, but before the end
        raise StoppedError(f"{job.name}: stopped after saving a checkpoint")
    return with_ray


def checkpoints_of(job: Job) -> Checkpoints:
    """Return the job's checkpoints, for one rank."""
    placement = job.placement
    return Checkpoints(
        job.scratch / FOLDER, keep=placement.keep_checkpoints, keep_every=placement.keep_every
    )


def _run_here(job: Job) -> None:
    from stages.training.loop import train  # imports DeepSpeed

    train(job, checkpoints_of(job))


def _in_worker(config: dict[str, Any]) -> Exception | None:
    """What each Ray Train worker runs."""
    from stages.training.loop import train  # imports DeepSpeed

    job: Job = config["job"]
    noted = job.scratch / ERROR
    if noted.exists():
        error: Exception = pickle.loads(noted.read_bytes())
        return error
    try:
        train(job, checkpoints_of(job))
    except (CheckpointWriteError, DataMismatchError, DivergedError, OtherModelError) as error:
        # all workers raise it, and started again they would do the same
        return error
    except TokenFileError as error:
        # this worker alone raises it, and the others wait for it until all are started again
        noted.write_bytes(pickle.dumps(error))
        raise
    return None
