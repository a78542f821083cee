"""Ray Train: it starts workers that can talk to each other, and starts them again when one is lost.

No more than that: its storage and its checkpoints are not used.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

RUNS = "ray_train"
"""Folder in the scratch directory that Ray Train wants; nothing there is needed."""

_QUICK_AND_QUIET = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # also how soon the end of training is noticed
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # prints everything twice
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}


def run_workers(
    function: Callable[[dict[str, Any]], Exception | None],
    config: dict[str, Any],
    *,
    workers: int,
    min_workers: int = 0,
    bundle: Mapping[str, float],
    scratch: Path,
    max_failures: int,
    collective_seconds: int = 1800,
) -> None:
    """Call ``function(config)`` in each of ``workers`` workers, which form a process group.

    ``bundle`` is what Ray reserves for one. All are started again, ``max_failures`` times, when one
    raises or is lost; with ``min_workers`` as many of them as there is room for, and when there is
    more room later, more. A worker waits ``collective_seconds`` for the others.

    What ``function`` returns on rank 0 is raised here: an error that workers which are started
    again would only meet once more. All of them must return then. Raises Ray Train's
    `TrainingFailedError` when there were too many failures.
    """
    os.environ.update({k: v for k, v in _QUICK_AND_QUIET.items() if k not in os.environ})
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    logging.getLogger("ray.train").setLevel(logging.WARNING)
    gpus = bundle.get("GPU", 0) > 0
    trainer = TorchTrainer(
        function,
        train_loop_config=config,
        scaling_config=ScalingConfig(
            num_workers=(min_workers, workers) if min_workers else workers,
            use_gpu=gpus,
            resources_per_worker=dict(bundle),
        ),
        run_config=RunConfig(
            name="run",  # the scratch folder is the step's own
            storage_path=str((scratch / RUNS).resolve()),
            failure_config=FailureConfig(max_failures=max_failures),
        ),
        torch_config=TorchConfig(backend="nccl" if gpus else "gloo", timeout_s=collective_seconds),
    )
    error = trainer.fit().return_value
    if isinstance(error, Exception):
        raise error
