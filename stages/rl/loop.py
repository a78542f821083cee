"""The RL loop, the same on every rank: collect, update, publish, checkpoint, validate.

Rank 0 alone collects and validates; the others receive the batch. How checkpoints are kept is the
`Keeper`'s business (Ray Train's storage, or a folder).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from cluster.dag.metrics import log_metrics, write_statistics
from model.checkpoint import save_pretrained
from stages.rl.collector import Batch, Collector
from stages.rl.curriculum import Curriculum
from stages.rl.domain import Prompts, WorkerSpec
from stages.rl.learner import Learner
from stages.rl.pool import RolloutPool
from stages.rl.settings import RLPlacement, RLSettings
from stages.rl.update import update
from stages.rl.validation import Score, compare, score, summarise
from stages.rl.weights import WeightTransport

log = logging.getLogger(__name__)
LOG_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Job:
    """Everything the trainer's ranks are told."""

    spec: WorkerSpec
    placement: RLPlacement
    prompts: Prompts
    output: str
    """Folder of the artifact: the final checkpoint, metrics.jsonl and statistics.json."""

    @property
    def settings(self) -> RLSettings:
        """The stage's settings."""
        return self.spec.settings

    @property
    def metrics_file(self) -> Path:
        """Where rank 0 logs."""
        return Path(self.output) / "metrics.jsonl"


class Keeper(Protocol):
    """Keeps checkpoints."""

    def restore(self, learner: Learner) -> dict[str, Any] | None:
        """Load the newest checkpoint into the learner and return its state, or None."""

    def keep(self, learner: Learner, step: int, state: Mapping[str, Any]) -> None:
        """Write a checkpoint; every rank calls this."""


@dataclass(slots=True)
class _Totals:
    """What is counted over the whole run; part of a checkpoint."""

    updates: int = 0
    tokens_trained: int = 0
    tokens_sampled: int = 0
    episodes: int = 0
    groups: int = 0
    groups_kept: int = 0
    restarts: int = 0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    first_solve_rate: float = -1.0
    last_solve_rate: float = 0.0

    def add(self, batch: Batch) -> None:
        """Count one batch."""
        self.tokens_trained += batch.tokens
        self.tokens_sampled += batch.sampled_tokens
        self.episodes += batch.episodes
        self.groups += batch.groups
        self.groups_kept += batch.groups_kept
        rate = batch.solved / max(batch.scored, 1)
        if self.first_solve_rate < 0:
            self.first_solve_rate = self.last_solve_rate = rate
        # smoothed, since one batch is a small sample of prompts
        self.last_solve_rate = 0.9 * self.last_solve_rate + 0.1 * rate


class Loop:
    """One rank's run of RL; ``pool`` is given on rank 0 only."""

    def __init__(
        self, job: Job, learner: Learner, keeper: Keeper, pool: RolloutPool | None
    ) -> None:
        self._job, self._learner, self._keeper, self._pool = job, learner, keeper, pool
        self._settings = job.settings
        self._transport = WeightTransport(Path(job.spec.weights))
        self._collector = _collector(job, learner, pool) if pool else None
        self._totals = _Totals()
        self._before: Score | None = None
        self._started = self._logged = time.monotonic()
        self._cpu = time.process_time()

    def run(self) -> None:
        """Train from the newest checkpoint, or from the start, to the last step."""
        step = resumed = self._restore()
        self._publish(step)
        if self._before is None:
            self._before = self._validate(step)
        while step < self._settings.steps:
            self._train_step(step)
            step += 1
            if step % self._settings.publish_every == 0 or step == self._settings.steps:
                self._publish(step)
            if step % self._settings.checkpoint_every == 0 or step == self._settings.steps:
                self._keeper.keep(self._learner, step, self._state(step))
        self._finish(resumed)

    def _restore(self) -> int:
        state = self._keeper.restore(self._learner)
        if state is None:
            return 0
        self._totals = _Totals(**state["totals"])
        self._totals.restarts += 1
        if self._collector:
            self._collector.load_state_dict(state["collector"])
        if state["before"]:
            self._before = Score(**{k: tuple(v) for k, v in state["before"].items()})
        log.info("resuming from step %d", state["step"])
        return int(state["step"])

    def _state(self, step: int) -> dict[str, Any]:
        self._clock()
        return {
            "step": step,
            "totals": asdict(self._totals),
            "collector": self._collector.state_dict() if self._collector else None,
            "before": asdict(self._before) if self._before else None,
        }

    def _clock(self) -> None:
        now, cpu = time.monotonic(), time.process_time()
        self._totals.wall_seconds += now - self._started
        self._totals.cpu_seconds += cpu - self._cpu
        self._started, self._cpu = now, cpu

    def _publish(self, version: int) -> None:
        weights = self._learner.state_dict()
        if self._learner.rank == 0:
            self._transport.publish(version, weights, self._learner.config.to_hf())

    def _train_step(self, step: int) -> None:
        batch = self._collector.collect(step) if self._collector else None
        items = self._learner.share(batch.items if batch else None)
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
        self._report(step + 1, metrics)

    def _report(self, step: int, metrics: Mapping[str, float]) -> None:
        if time.monotonic() - self._logged < LOG_SECONDS and step < self._settings.steps:
            return
        self._logged = time.monotonic()
        spent = self._totals.wall_seconds + self._logged - self._started
        log.info(
            "step %d/%d: solve rate %.3f (smoothed %.3f), groups kept %.0f %%, staleness %.1f, "
            "%d tokens trained, %.0f s left",
            step,
            self._settings.steps,
            metrics["solve_rate"],
            self._totals.last_solve_rate,
            100 * metrics["groups_kept"],
            metrics["staleness"],
            self._totals.tokens_trained,
            spent / step * (self._settings.steps - step),
        )

    def _validate(self, version: int) -> Score | None:
        """Score the held-out prompts on rank 0; the others wait, so that no collective times out."""
        result = None
        if self._pool and self._collector and self._job.prompts.heldout:
            self._collector.drain()
            result = score(
                self._pool,
                self._job.prompts.heldout,
                samples=self._settings.validation_samples,
                version=version,
                seed=self._settings.seed,
                per_request=self._settings.prompts_per_request,
            )
        self._learner.share(None)
        return result

    def _finish(self, resumed: int) -> None:
        after = self._validate(self._settings.steps)
        weights = self._learner.state_dict()
        if self._learner.rank:
            return
        output = Path(self._job.output)
        config = self._learner.config
        save_pretrained((config, weights), output, tokenizer_dir=self._job.spec.checkpoint)
        self._clock()
        statistics: dict[str, Any] = asdict(self._totals) | {
            "steps": self._settings.steps,
            "resumed_from": resumed,
            "workers": self._learner.world,
            "rollout_workers": self._job.placement.rollout_workers,
            "prompts": sum(len(names) for names in self._job.prompts.train.values()),
            "prompts_too_long": self._job.prompts.too_long,
            "prompts_tried": len(self._collector.curriculum.rates) if self._collector else 0,
        }
        samples = self._settings.validation_samples
        if self._before and after:
            statistics |= summarise("heldout_before", self._before, samples)
            statistics |= summarise("heldout_after", after, samples)
            statistics |= compare(self._before, after)
            _log_change(statistics)
        write_statistics(output / "statistics.json", statistics)


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


def _log_change(statistics: Mapping[str, Any]) -> None:
    for name in ("greedy", "pass_at_1"):
        log.info(
            "held out, %s: %.3f -> %.3f (se %.3f, n %d, p %.3g: %s)",
            name,
            statistics[f"heldout_before.{name}"],
            statistics[f"heldout_after.{name}"],
            statistics[f"heldout_after.{name}_se"],
            statistics["heldout_change.n"],
            statistics[f"heldout_change.{name}_p"],
            statistics[f"heldout_change.{name}_significance"],
        )
