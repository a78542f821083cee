"""The DeepSpeed engine of a job: made, filled from wherever the job starts, saved and exported."""

from __future__ import annotations

import shutil
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch.distributed as dist

from cluster.deepspeed import (
    build,
    gathered,
    initialize,
    load_weights,
    to_universal,
    world_size_of,
    zero3_config,
)
from model.checkpoint import open_tensors, save_pretrained
from model.transformer import CWM, Block
from stages.training.job import Job
from stages.training.session import Session
from stages.training.state import State

SHARDS = "shards"
"""Name (DeepSpeed: tag) of the sharded checkpoint inside a checkpoint directory."""
OPTIMIZER = "optimizer"
"""Name of the universal checkpoint inside an exported checkpoint."""
METRICS = "metrics.jsonl"


def open_engine(job: Job, session: Session) -> tuple[Any, State]:
    """Make the engine and fill it: from the last checkpoint, else from where the job starts."""
    with session.restored() as folder:
        universal = _universal(job, folder)
        settings = job.settings
        config = zero3_config(
            learning_rate=job.schedule(0),
            betas=(settings.optimizer.beta1, settings.optimizer.beta2),
            epsilon=settings.optimizer.epsilon,
            weight_decay=settings.optimizer.weight_decay,
            clip=settings.optimizer.clip,
            accumulation=settings.rows_per_step
            // (dist.get_world_size() * job.placement.micro_rows),
            bfloat16=settings.precision == "bfloat16",
            universal=universal is not None,
        )
        model = build(
            config,
            lambda: CWM(job.config, recompute=job.placement.recompute),
            seed=settings.seed,
        )
        if job.weights and not folder and not universal:
            load_weights(model, open_tensors(job.weights).read)  # rank 0 alone reads
        engine = initialize(model, config, leaves=[Block])
        if universal:
            _, client = engine.load_checkpoint(str(universal.parent), tag=universal.name)
        elif folder:
            _, client = engine.load_checkpoint(str(folder), tag=SHARDS)
        if not folder:
            return engine, State()
        if dist.get_rank() == 0 and not job.metrics_file.exists():
            shutil.copyfile(folder / METRICS, job.metrics_file)
        # DeepSpeed mixes its own entries into what comes back
        return engine, State(**{name: client[name] for name in asdict(State())})


def _universal(job: Job, folder: Path | None) -> Path | None:
    """Return the universal checkpoint to load; converts ``folder`` if other workers wrote it."""
    if folder is None:
        return job.optimizer
    if world_size_of(folder / SHARDS) == dist.get_world_size():
        return None
    target = job.scratch / "universal"
    if dist.get_rank() == 0:
        to_universal(folder / SHARDS, target)
    dist.barrier()
    return target


def save_state(job: Job, session: Session, engine: Any, state: State) -> None:
    """Keep a checkpoint to resume from; called by all workers after the same step."""

    def write(folder: Path) -> None:
        engine.save_checkpoint(
            str(folder), tag=SHARDS, client_state=asdict(state), save_latest=False
        )
        if dist.get_rank() == 0 and job.metrics_file.exists():
            shutil.copyfile(job.metrics_file, folder / METRICS)

    session.save(state.step, write)


def export(job: Job, session: Session, engine: Any) -> None:
    """Write the checkpoint that other stages use, from rank 0; called by all workers.

    One parameter is whole at a time, on each worker.
    """
    tensors = gathered(engine.module)
    if dist.get_rank() == 0:
        save_pretrained((job.config, tensors), job.output, job.tokenizer)
    else:
        deque(tensors, maxlen=0)  # gathering takes all workers
    if job.keep_optimizer:
        dist.barrier()
        with session.restored() as folder:
            if dist.get_rank() == 0 and folder is not None:
                to_universal(folder / SHARDS, job.output / OPTIMIZER)
            dist.barrier()  # until then the checkpoint must stay
