"""Starts the training of a job: in Ray Train workers, or in this process."""

from __future__ import annotations

import logging
import os
from typing import Any

from cluster.dag.errors import StoppedError
from stages.training.job import RESULT, Job
from stages.training.settings import bundles

RUNS = "ray_train"
"""Directory in the scratch directory that holds Ray Train's runs."""
RUN_NAME = "run"
"""The scratch directory is the step's own, so the name need not tell steps apart: whoever runs the
step again under the same scratch directory resumes."""

_QUICK_AND_QUIET = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # also how soon the end of training is noticed
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # prints everything twice
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}


def run_job(job: Job) -> bool:
    """Train; returns when the checkpoint is exported, True if other processes did it.

    Where Ray is initialised, lost workers are replaced, up to ``max_failures`` times, and training
    goes on from the last checkpoint. Without Ray, and for no workers, this process trains alone:
    it takes all rows of the global batch, so the result differs only by rounding.

    Raises `StoppedError` when ``job.stop_file`` ended training early, after a checkpoint.
    """
    import ray

    job.scratch.mkdir(parents=True, exist_ok=True)
    result = job.scratch / RESULT
    result.unlink(missing_ok=True)
    with_ray = job.placement.workers > 0 and ray.is_initialized()
    if with_ray:
        _run_with_ray(job)
    else:
        _run_here(job)
    if not result.exists():  # the workers ended well, but before the end
        raise StoppedError(f"{job.name}: stopped after saving a checkpoint")
    return with_ray


def _run_here(job: Job) -> None:
    from stages.training.loop import train  # imports DeepSpeed
    from stages.training.session import LocalSession

    train(job, LocalSession(job.scratch / "checkpoints"))


def _in_worker(config: dict[str, Any]) -> None:
    """What each Ray Train worker runs."""
    from stages.training.loop import train  # imports DeepSpeed
    from stages.training.session import RaySession

    train(config["job"], RaySession())


def _run_with_ray(job: Job) -> None:
    os.environ.update({k: v for k, v in _QUICK_AND_QUIET.items() if k not in os.environ})
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    placement = job.placement
    logging.getLogger("ray.train").setLevel(logging.WARNING)
    trainer = TorchTrainer(
        _in_worker,
        train_loop_config={"job": job},
        scaling_config=ScalingConfig(
            num_workers=placement.workers,
            use_gpu=placement.gpus_per_worker > 0,
            resources_per_worker=bundles(placement, job.settings)[0],
        ),
        run_config=RunConfig(
            name=RUN_NAME,
            storage_path=str((job.scratch / RUNS).resolve()),
            failure_config=FailureConfig(max_failures=placement.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=2),
        ),
        torch_config=TorchConfig(backend="nccl" if placement.gpus_per_worker else "gloo"),
    )
    trainer.fit()
