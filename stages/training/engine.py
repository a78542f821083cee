"""The DeepSpeed engine of a job: made, filled from wherever the job starts, saved and exported."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import torch.distributed as dist

from cluster.deepspeed import (
    build,
    gathered,
    initialize,
    load_weights,
    loadable,
    restore,
    snapshot,
    zero3_config,
)
from model.checkpoint import open_tensors, save_pretrained
from model.transformer import CWM, Block
from stages.kinds import OPTIMIZER
from stages.training.checkpoints import Checkpoint, Checkpoints, Content, OtherModelError
from stages.training.job import LOGS, Job
from stages.training.sequence_parallel import SequenceParallel
from stages.training.state import State, check_fingerprint

SHARDS = "shards"
"""Folder (DeepSpeed: tag) of a checkpoint that holds the ranks' files."""
_FREE = ("max_position_embeddings", "rope_scaling")  # a later stage may change them


def open_engine(
    job: Job, checkpoints: Checkpoints, parallel: SequenceParallel, fingerprint: Mapping[str, Any]
) -> tuple[Any, State]:
    """Make the engine and fill it: from the last checkpoint, else from where the job starts.

    Called by all ranks. ``fingerprint`` is that of the job's data and their order. Raises
    `DataMismatchError` when the last checkpoint was made with others, and `OtherModelError`.
    """
    last = checkpoints.latest()
    state = State(fingerprint=dict(fingerprint))
    if last:
        state = State.from_json(last.facts["state"])
        check_fingerprint(state.fingerprint, fingerprint)
    start = last or (Checkpoint.read(job.optimizer) if job.optimizer else None)
    if start:
        _check_model(job, start, free=() if last else _FREE)
    with loadable(start.path / SHARDS, job.scratch) if start else nullcontext() as found:
        shards, universal = found or (None, False)
        config = _config(job, universal=universal)
        model = build(
            config,
            lambda: CWM(job.config, parallel.attention, recompute=job.placement.recompute),
            seed=job.settings.seed,
        )
        if job.weights and not shards:
            load_weights(model, open_tensors(job.weights).read)  # rank 0 alone reads
        engine = initialize(model, config, leaves=[Block])
        if shards:
            restore(engine, shards)
            _use_settings(job, engine)
    if last:
        _bring_back_logs(job, last)
    return engine, state


def _config(job: Job, *, universal: bool) -> dict[str, Any]:
    optimizer = job.settings.optimizer
    return zero3_config(
        learning_rate=job.schedule(0),
        betas=(optimizer.beta1, optimizer.beta2),
        epsilon=optimizer.epsilon,
        weight_decay=optimizer.weight_decay,
        clip=optimizer.clip,
        bfloat16=job.settings.precision == "bfloat16",
        universal=universal,
        offload=job.placement.offload,
        partition_within=job.placement.partition_within,
        gradient_dtype=job.placement.gradient_dtype,
    )


def _use_settings(job: Job, engine: Any) -> None:
    """Undo that the optimizer of a checkpoint brings its stage's settings with it."""
    optimizer = job.settings.optimizer
    for group in engine.optimizer.param_groups:
        group["betas"] = (optimizer.beta1, optimizer.beta2)
        group["eps"], group["weight_decay"] = optimizer.epsilon, optimizer.weight_decay


def _facts(job: Job) -> dict[str, Any]:
    """Return what a checkpoint's model is, as JSON gives it back."""
    facts: dict[str, Any] = json.loads(json.dumps(asdict(job.config)))
    return {**facts, "precision": job.settings.precision}


def _check_model(job: Job, start: Checkpoint, *, free: tuple[str, ...]) -> None:
    wanted, found = _facts(job), start.facts["model"]
    if differing := [
        f"{name} {found.get(name)} -> {wanted.get(name)}"
        for name in sorted(wanted.keys() | found.keys())
        if name not in free and wanted.get(name) != found.get(name)
    ]:
        raise OtherModelError(
            f"{job.name}: the checkpoint {start.path} holds another model than is to be trained "
            f"(checkpoint -> now): {', '.join(differing)}"
        )


def _bring_back_logs(job: Job, last: Checkpoint) -> None:
    """Put the logs as they were beside those of a new attempt, unless they are there still."""
    for name in LOGS:
        target = job.metrics_file.parent / name
        if dist.get_rank() == 0 and name in last.files and not target.exists():
            target.write_bytes((last.path / name).read_bytes())


def save_state(job: Job, checkpoints: Checkpoints, engine: Any, state: State) -> None:
    """Begin a checkpoint to resume from; called by all ranks after the same step.

    Raises `CheckpointWriteError` when the one before could not be written.
    """
    checkpoints.wait()  # two copies at once would take twice the memory
    parts: dict[str, Any] = dict(snapshot(engine, SHARDS, {}))
    if dist.get_rank() == 0:
        logs = [job.metrics_file.parent / name for name in LOGS]
        parts |= {file.name: Content(file.read_bytes()) for file in logs if file.exists()}
    checkpoints.save(state.step, parts, {"state": state.to_json(), "model": _facts(job)})


def export(job: Job, checkpoints: Checkpoints, engine: Any) -> None:
    """Write the checkpoint that other stages use, from rank 0; called by all ranks.

    One parameter is whole at a time, on each rank. Raises `CheckpointWriteError` when the last
    checkpoint could not be written.
    """
    tensors = gathered(engine.module)
    if dist.get_rank() == 0:
        save_pretrained((job.config, tensors), job.output, job.tokenizer)
    else:
        deque(tensors, maxlen=0)  # gathering takes all ranks
    checkpoints.wait()
    if job.keep_optimizer and dist.get_rank() == 0 and checkpoints.last:
        checkpoints.last.link(job.output / OPTIMIZER, below=SHARDS)
