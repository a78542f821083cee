"""The training loop: the same in a Ray Train worker and in a single process."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import torch.distributed as dist

from cluster.dag.metrics import log_metrics
from cluster.deepspeed import all_sum, set_learning_rate, start_process
from stages.training.checkpoints import Checkpoints
from stages.training.engine import export, open_engine, save_state
from stages.training.guard import SKIPPED, DivergedError, Guard, record_skip
from stages.training.job import RESULT, Job
from stages.training.meter import BETWEEN, Meter
from stages.training.packing import Row
from stages.training.samples import Samples
from stages.training.sequence_parallel import SequenceParallel
from stages.training.step import Made, Stepper
from stages.training.validation import Validation


def train(job: Job, checkpoints: Checkpoints) -> None:
    """Train as `job` says, from the beginning or from the last checkpoint, and export the result.

    When ``job.stop_file`` appears, it saves a checkpoint and returns without a result. Runs in
    every worker. A worker that is killed goes on from the last checkpoint when this is called
    again. Raises `DivergedError`, on all workers, when too many steps in a row were skipped,
    `DataMismatchError` when the checkpoint is one of other data, and what DeepSpeed, a checkpoint
    or a broken token file raise.
    """
    started = time.perf_counter()
    start_process(job.placement.threads_per_worker)
    run = _Run(job, checkpoints)
    resumed_from = run.state.step
    try:
        finished = run.steps()
    except DivergedError:
        checkpoints.wait()
        raise
    checkpoints.wait()
    if not finished:
        return
    losses = run.end()
    export(job, checkpoints, run.engine)
    cpu_seconds = all_sum([time.process_time()])[0]
    if dist.get_rank() == 0:
        result = {
            "resumed_from": resumed_from,
            "worker_cpu_seconds": cpu_seconds,
            "worker_wall_seconds": time.perf_counter() - started,
            "workers": dist.get_world_size(),
            **run.statistics(),
            **losses,
        }
        (job.scratch / RESULT).write_text(json.dumps(result))


class _Run:
    """A worker's part of one training, from where it resumes to its end."""

    def __init__(self, job: Job, checkpoints: Checkpoints) -> None:
        self.job, self.checkpoints = job, checkpoints
        self.rows = job.rows()
        parallel = SequenceParallel(job.placement.sequence_parallel, job.config.num_key_value_heads)
        self.engine, self.state = open_engine(job, checkpoints, parallel, self.rows.fingerprint)
        self.guard = Guard(job.settings.guard, self.state.guard)
        self.stepper = Stepper(job, self.engine, self.rows.files, parallel, self.guard)
        self.validation = Validation(job, self.rows.sources, parallel)
        self.samples = Samples(job, self.validation.files, parallel)
        self.meter = Meter(job)
        self.tokens, self.seconds = 0, 0.0

    def steps(self) -> bool:
        """Make the remaining steps; False when it was asked to stop before the last."""
        placement, state, begun = self.job.placement, self.state, time.perf_counter()
        stopped = False
        self.meter = Meter(self.job)
        self.engine.train()
        while state.step < self.job.settings.steps and not stopped:
            stopped = self._step()
            last = state.step == self.job.settings.steps
            if state.step % placement.log_every == 0 or last or stopped:
                self._log_line()
            self.guard.check(state.step, self.job.metrics_file.with_name(SKIPPED))
            every = placement.validate_every
            if every and state.step % every == 0 and not last and not stopped:
                self.validate()
                self.engine.train()
            if state.step % self.job.checkpoint_every == 0 or last or stopped:
                state.guard = self.guard.state()
                save_state(self.job, self.checkpoints, self.engine, state)
                self.meter.clock.lap("checkpoint")
        self.seconds = time.perf_counter() - begun
        return not stopped

    def _step(self) -> bool:
        """Make a step; return whether all workers are to stop."""
        job, state, clock = self.job, self.state, self.meter.clock
        taken, cursor = self.rows.take(state.cursor, job.settings.rows_per_step)
        set_learning_rate(self.engine, job.schedule(state.step))
        made = self.stepper.make(taken, clock)
        state.cursor = cursor
        if dist.get_rank() == 0:
            self.meter.add(made, taken)
            if made.skipped:
                self._record(made, taken)
        return made.stop

    def _record(self, made: Made, taken: list[Row]) -> None:
        values = {"loss": made.loss, "grad_norm": made.norm}
        file = self.job.metrics_file.with_name(SKIPPED)
        record_skip(file, self.state.step, made.skipped, values, taken, self.rows.sources)

    def _log_line(self) -> None:
        if dist.get_rank() == 0:
            learning_rate = self.job.schedule(self.state.step - 1)
            skipped = float(self.guard.skipped)
            line = self.meter.line()
            self._log({**line, "learning_rate": learning_rate, "skipped_steps": skipped})
            self.tokens += self.meter.tokens
        self.meter = Meter(self.job)

    def validate(self) -> dict[str, float]:
        """Log the loss on held-out data, and write samples of what the model predicts."""
        self.engine.eval()
        losses = self.validation.run(self.engine)
        self.samples.write(self.engine, self.state.step)
        self.meter.clock.lap("validation")
        self._log(losses)
        return losses

    def end(self) -> dict[str, float]:
        """Validate for the last time; return the losses."""
        self.meter.clock.lap("checkpoint")  # training waited for the last one
        losses = self.validate()
        self._log({n: s for n, s in self.meter.seconds().items() if n.split(".")[1] in BETWEEN})
        return losses

    def _log(self, metrics: Mapping[str, float]) -> None:
        if dist.get_rank() == 0 and metrics:
            log_metrics(self.job.metrics_file, metrics, step=self.state.step)

    def statistics(self) -> dict[str, Any]:
        """Return what training took and saw; on rank 0."""
        result: dict[str, Any] = {
            "training_seconds": self.seconds,
            "tokens_per_second": self.tokens / self.seconds if self.seconds else 0.0,
            "skipped_steps": self.guard.skipped,
        }
        for name, seen in self.rows.seen(self.state.cursor).items():
            result |= {
                f"tokens_seen.{name}": seen.tokens,
                f"documents_seen.{name}": seen.documents,
                f"epochs.{name}": seen.epochs,
            }
        return result
