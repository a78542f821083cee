"""The RL loop, the same on every rank: collect, update, publish, checkpoint, validate.

Rank 0 alone collects and validates; the others receive the batch. When its rollout workers fail for
good, all ranks stop with the same `RolloutError`, so that none is left waiting in a collective.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from cluster.dag.metrics import log_metrics, write_statistics
from cluster.dag.process import cpu_seconds
from model.checkpoint import save_pretrained
from stages.rl.collector import Batch, Collector
from stages.rl.curriculum import Curriculum
from stages.rl.job import Job
from stages.rl.learner import Learner
from stages.rl.pool import RolloutError, RolloutPool
from stages.rl.selection import Item
from stages.rl.update import update
from stages.rl.validation import Score, compare, score, summarise
from stages.rl.weights import WeightTransport
from stages.training.checkpoints import Checkpoints

ResultT = TypeVar("ResultT")


@dataclass(slots=True)
class _Totals:
    """What is counted over the whole run; part of a checkpoint."""

    updates: int = 0
    tokens: int = 0
    """Agent tokens trained on."""
    tokens_sampled: int = 0
    episodes: int = 0
    groups: int = 0
    groups_kept: int = 0
    wall_seconds: float = 0.0
    worker_cpu_seconds: float = 0.0
    solve_rate_first: float = -1.0
    solve_rate_last: float = 0.0
    """Moving averages over batches, each a small sample of prompts."""

    def add(self, batch: Batch) -> None:
        """Count one batch."""
        self.tokens += batch.tokens
        self.tokens_sampled += batch.sampled_tokens
        self.episodes += batch.episodes
        self.groups += batch.groups
        self.groups_kept += batch.groups_kept
        rate = batch.solved / max(batch.scored, 1)
        if self.solve_rate_first < 0:
            self.solve_rate_first = self.solve_rate_last = rate
        self.solve_rate_last = 0.9 * self.solve_rate_last + 0.1 * rate


class Loop:
    """One rank's run of RL; ``pool`` is given on rank 0 only."""

    def __init__(
        self, job: Job, learner: Learner, checkpoints: Checkpoints, pool: RolloutPool | None
    ) -> None:
        self._job, self._learner, self._checkpoints, self._pool = job, learner, checkpoints, pool
        self._settings = job.settings
        self._transport = WeightTransport(Path(job.spec.weights))
        self._collector = _collector(job, learner, pool) if pool else None
        self._totals = _Totals()
        self._before: Score | None = None
        self._started, self._cpu = time.monotonic(), cpu_seconds()

    def run(self, state: dict[str, Any] | None = None) -> None:
        """Train to the last step, from a checkpoint's ``state`` or from the start."""
        step = first = self._restore(state) if state else 0
        self._publish(step)
        if not state:
            self._before = self._validate(step)
        while step < self._settings.steps:
            self._train_step(step)
            step += 1
            last = step == self._settings.steps
            if last or step % self._settings.publish_every == 0:
                self._publish(step)
            if last or step % self._settings.checkpoint_every == 0:
                self._checkpoint(step)
        self._finish(first, self._validate(step))

    def _restore(self, state: dict[str, Any]) -> int:
        self._totals = _Totals(**state["totals"])
        if self._collector:
            self._collector.load_state_dict(state["collector"])
        if state["before"]:
            self._before = Score(**{k: tuple(v) for k, v in state["before"].items()})
        return int(state["step"])

    def _checkpoint(self, step: int) -> None:
        self._clock()
        state = {
            "step": step,
            "totals": asdict(self._totals),
            "collector": self._collector.state_dict() if self._collector else None,
            "before": asdict(self._before) if self._before else None,
        }
        self._checkpoints.wait()  # two copies at once would take twice the memory
        self._checkpoints.save(step, self._learner.copies(), state)

    def _clock(self) -> None:
        now, cpu = time.monotonic(), cpu_seconds()
        used = self._learner.total([cpu - self._cpu])[0]
        self._totals.wall_seconds += now - self._started
        self._totals.worker_cpu_seconds += used
        self._started, self._cpu = now, cpu

    def _publish(self, version: int) -> None:
        weights = self._learner.state_dict()
        if self._learner.rank == 0:
            self._transport.publish(version, weights, self._learner.config.to_hf())

    def _first_rank(self, work: Callable[[Collector], ResultT]) -> ResultT | None:
        """Let rank 0 work while the others wait; a failure of its rollouts ends all of them."""
        result, error = None, None
        if self._collector:
            try:
                result = work(self._collector)
            except RolloutError as failure:
                error = failure
        message = self._learner.share(str(error) if error else None)
        if message is not None:
            raise error or RolloutError(message)
        return result

    def _train_step(self, step: int) -> None:
        batch = self._first_rank(lambda collector: collector.collect(step))
        items: list[Item] = self._learner.share(batch.items if batch else None)
        began = time.monotonic()
        metrics: dict[str, float] = {}
        if items:
            metrics = update(
                self._learner,
                items,
                self._settings,
                updates=self._totals.updates,
                micro_batch_tokens=self._job.placement.micro_batch_tokens,
            )
            self._totals.updates += self._settings.updates_per_batch
        if batch is None:
            return
        self._totals.add(batch)
        metrics |= batch.metrics() | {"update_seconds": time.monotonic() - began}
        log_metrics(self._job.metrics_file, metrics, step=step + 1)

    def _validate(self, version: int) -> Score | None:
        """Score the held-out prompts with the published ``version``."""
        if not self._job.prompts.heldout:
            return None
        return self._first_rank(
            lambda collector: score(
                collector.free_pool(),
                self._job.prompts.heldout,
                samples=self._settings.validation_samples,
                version=version,
                seed=self._settings.seed,
                per_request=self._settings.prompts_per_request,
            )
        )

    def _finish(self, resumed_from: int, after: Score | None) -> None:
        self._clock()
        self._checkpoints.wait()
        tensors = self._learner.tensors()
        if self._collector is None:
            deque(tensors, maxlen=0)  # gathering takes all ranks
            return
        job, samples = self._job, self._settings.validation_samples
        save_pretrained(
            (self._learner.config, tensors), job.output, tokenizer_dir=job.spec.checkpoint
        )
        statistics: dict[str, Any] = asdict(self._totals) | {
            "steps": self._settings.steps,
            "resumed_from": resumed_from,
            "workers": self._learner.world,
            "prompts": sum(len(names) for names in job.prompts.train.values()),
            "prompts_too_long": job.prompts.too_long,
            "prompts_tried": len(self._collector.curriculum.rates),
        }
        if self._before and after:
            statistics |= summarise("heldout_before", self._before, samples)
            statistics |= summarise("heldout_after", after, samples)
            statistics |= compare(self._before, after)
        write_statistics(job.output / "statistics.json", statistics)


def _collector(job: Job, learner: Learner, pool: RolloutPool) -> Collector:
    settings = job.settings
    curriculum = Curriculum(
        prompts=job.prompts.train,
        shares={entry.kind: entry.share for entry in settings.mix},
        low=settings.solve_rate_low,
        high=settings.solve_rate_high,
        exploration=settings.exploration,
        revisit=settings.revisit,
        seed=settings.seed,
    )
    return Collector(pool, curriculum, settings, learner.config.vocab_size)
