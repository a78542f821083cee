"""The training loop: the same in a Ray Train worker and in a single process."""

from __future__ import annotations

import json
import time
from typing import Any

import torch.distributed as dist

from cluster.dag.metrics import log_metrics
from cluster.deepspeed import all_sum, set_learning_rate, start_process
from stages.training.engine import export, open_engine, save_state
from stages.training.job import RESULT, Job
from stages.training.meter import Meter
from stages.training.packing import Rows
from stages.training.session import Session
from stages.training.state import State
from stages.training.step import make_step
from stages.training.validation import Validation


def train(job: Job, session: Session) -> None:
    """Train as `job` says, from the beginning or from the last checkpoint, and export the result.

    When ``job.stop_file`` appears, it saves a checkpoint and returns without a result.
    Runs in every worker. Raises what DeepSpeed or a broken token file raises; a worker that is
    killed goes on from the last checkpoint when this is called again.
    """
    started = time.perf_counter()
    start_process(job.placement.threads_per_worker)
    rows = job.rows()
    engine, state = open_engine(job, session)
    resumed_from = state.step
    validation = Validation(job, rows.order.sources)
    tokens, seconds = _steps(job, session, engine, state, rows, validation)
    if state.step < job.settings.steps:
        return
    losses = validation.run(engine)
    export(job, session, engine)
    cpu_seconds, wall = all_sum([time.process_time()])[0], time.perf_counter() - started
    if dist.get_rank() == 0:
        _log(job, state.step, losses)
        result = {
            "resumed_from": resumed_from,
            "worker_cpu_seconds": cpu_seconds,
            "worker_wall_seconds": wall,
            "training_seconds": seconds,
            "tokens_per_second": tokens / seconds if seconds else 0.0,
            "workers": dist.get_world_size(),
            **losses,
        }
        for name, seen in rows.seen(state.cursor).items():
            result |= {
                f"tokens_seen.{name}": seen.tokens,
                f"documents_seen.{name}": seen.documents,
                f"epochs.{name}": seen.epochs,
            }
        (job.scratch / RESULT).write_text(json.dumps(result))


def _steps(
    job: Job, session: Session, engine: Any, state: State, rows: Rows, validation: Validation
) -> tuple[int, float]:
    """Make the remaining steps, or those until it is asked to stop.

    Returns how many tokens of all workers they took, and seconds.
    """
    placement, steps = job.placement, job.settings.steps
    meter, total, begun = Meter(), 0, time.perf_counter()
    engine.train()
    while state.step < steps:
        taken, cursor = rows.take(state.cursor, job.settings.rows_per_step)
        set_learning_rate(engine, job.schedule(state.step))
        make_step(job, engine, taken, rows, meter)
        state.step, state.block, state.row = state.step + 1, cursor.block, cursor.row
        total += sum(sum(row.lengths) for row in taken)
        last, stopped = state.step == steps, False
        if state.step % placement.log_every == 0 or last:
            metrics, stopped = _metrics(job, engine, state, meter)
            _log(job, state.step, metrics)
            meter = Meter()
        validates = placement.validate_every and state.step % placement.validate_every == 0
        if validates and not last and not stopped:
            _log(job, state.step, validation.run(engine))
            engine.train()
        if state.step % placement.checkpoint_every == 0 or last or stopped:
            save_state(job, session, engine, state)
        if stopped:
            break
    return total, time.perf_counter() - begun


def _metrics(job: Job, engine: Any, state: State, meter: Meter) -> tuple[dict[str, float], bool]:
    """Return the metrics, and whether any worker saw that training is to stop: all agree."""
    loss, weight, tokens, asked = all_sum([*meter.totals(), float(job.is_asked_to_stop())])
    metrics = {
        "loss": loss / max(weight, 1e-9),
        "learning_rate": job.schedule(state.step - 1),
        "grad_norm": float(engine.get_global_grad_norm()),
        "tokens_per_second": tokens / (time.perf_counter() - meter.since),
    }
    return metrics, asked > 0


def _log(job: Job, step: int, metrics: dict[str, float]) -> None:
    if dist.get_rank() == 0 and metrics:
        log_metrics(job.metrics_file, metrics, step=step)
