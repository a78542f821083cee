"""Filling the trainer's batches from the rollout workers.

Asynchronous: requests are kept in flight all the time, and groups that do not fit into a batch wait
for the next one, where they may turn out stale. Synchronous (``max_staleness`` 0): all of a batch's
requests are sampled from the trainer's own version and taken in the order of submission.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from stages.rl.curriculum import Curriculum
from stages.rl.pool import Request, RolloutPool, Rollouts
from stages.rl.selection import Group, Item, Selection, select
from stages.rl.settings import RLSettings

log = logging.getLogger(__name__)
SEED_STRIDE = 1_000_003  # keeps the requests' seeds apart for neighbouring stage seeds


@dataclass(slots=True)
class Batch:
    """The items of one trainer batch, and what went into it."""

    items: list[Item] = field(default_factory=list)
    tokens: int = 0
    groups: int = 0
    groups_kept: int = 0
    episodes: int = 0
    solved: int = 0
    scored: int = 0
    solved_prompts: float = 0.0
    dropped: Counter[str] = field(default_factory=Counter)
    staleness: list[int] = field(default_factory=list)
    sampled_tokens: int = 0
    seconds: float = 0.0

    def add(self, group: Group, selection: Selection) -> None:
        """Take in one group."""
        solved = group.solved
        self.groups += 1
        self.groups_kept += bool(selection.items)
        self.episodes += len(group.trajectories)
        self.sampled_tokens += sum(t.agent_tokens for t in group.trajectories)
        self.solved += sum(solved)
        self.scored += len(solved)
        self.solved_prompts += any(solved)
        self.items.extend(selection.items)
        self.tokens += selection.tokens
        self.dropped += selection.dropped
        self.staleness.extend(selection.staleness)

    def metrics(self) -> dict[str, float]:
        """The batch's rollout metrics, under their stable names."""
        groups, scored = max(self.groups, 1), max(self.scored, 1)
        values = {
            "reward": 2.0 * self.solved / scored - 1.0,
            "solve_rate": self.solved / scored,
            "solved_in_group": self.solved_prompts / groups,
            "groups": float(self.groups),
            "groups_kept": self.groups_kept / groups,
            "batch_tokens": float(self.tokens),
            "answer_tokens": self.sampled_tokens / max(self.episodes, 1),
            "staleness": sum(self.staleness) / max(len(self.staleness), 1),
            "staleness_max": float(max(self.staleness, default=0)),
            "wait_seconds": self.seconds,
        }
        for reason, count in self.dropped.items():
            values[f"dropped.{reason.replace('-', '_')}"] = count / max(self.episodes, 1)
        return values


class Collector:
    """Draws prompts, keeps workers busy and fills batches; lives in the trainer's first rank."""

    def __init__(
        self, pool: RolloutPool, curriculum: Curriculum, settings: RLSettings, vocabulary: int
    ) -> None:
        self.pool, self.curriculum = pool, curriculum
        self._settings, self._vocabulary = settings, vocabulary
        self._waiting: deque[Group] = deque()
        self.requests = 0

    @property
    def synchronous(self) -> bool:
        """Whether batches are sampled from exactly the trainer's version."""
        return self._settings.max_staleness == 0

    def collect(self, version: int) -> Batch:
        """Return a batch for the trainer's ``version``; empty when no group has signal."""
        started = time.monotonic()
        batch = Batch()
        if self.synchronous:
            self._collect_exactly(batch, version)
        else:
            self._collect_next(batch, version)
        batch.seconds = time.monotonic() - started
        return batch

    def _full(self, batch: Batch) -> bool:
        return batch.tokens >= self._settings.batch_tokens

    def _request(self, version: int | None) -> Request:
        self.requests += 1
        return Request(
            id=self.requests,
            tasks=tuple(self.curriculum.draw(self._settings.prompts_per_request)),
            samples=self._settings.samples_per_prompt,
            seed=self._settings.seed * SEED_STRIDE + self.requests,
            temperature=self._settings.temperature,
            version=version,
        )

    def _collect_exactly(self, batch: Batch, version: int) -> None:
        sent = 0
        while not self._full(batch) and sent < self._settings.max_requests_per_batch:
            # Two requests at a time, whatever the number of workers: the result must not show it.
            wave = [self._request(version) for _ in range(2)]
            for request in wave:
                self.pool.submit(request)
            sent += len(wave)
            arrived: dict[int, Rollouts] = {}
            while len(arrived) < len(wave):
                arrived.update({r.request.id: r for r in self.pool.wait()})
            for request in wave:
                for group in arrived[request.id].groups:
                    self.curriculum.record(group.task, group.solved)
                    self._take(batch, group, version)

    def _collect_next(self, batch: Batch, version: int) -> None:
        limit = self._settings.max_requests_per_batch * self._settings.prompts_per_request
        while not self._full(batch) and batch.groups < limit:
            while self.pool.in_flight < self.pool.capacity:
                self.pool.submit(self._request(None))
            while self._waiting and not self._full(batch):
                self._take(batch, self._waiting.popleft(), version)
            if self._full(batch):
                break
            for rollouts in self.pool.wait():
                for group in rollouts.groups:
                    self.curriculum.record(group.task, group.solved)
                    self._waiting.append(group)

    def _take(self, batch: Batch, group: Group, version: int) -> None:
        if self._full(batch):
            return
        chosen = select(
            group, version=version, vocabulary=self._vocabulary, settings=self._settings
        )
        batch.add(group, chosen)

    def free_pool(self) -> RolloutPool:
        """Return the workers, idle: what was in flight is waited for and forgotten."""
        while self.pool.in_flight:
            self.pool.wait()
        self._waiting.clear()
        return self.pool

    def state_dict(self) -> dict[str, Any]:
        """What a resume needs: the curriculum and the number of the next request."""
        return {"curriculum": self.curriculum.state_dict(), "requests": self.requests}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the checkpoint was taken; what was in flight is sampled anew."""
        self.curriculum.load_state_dict(state["curriculum"])
        self.requests = int(state["requests"])
