"""Who makes the shards: Ray actors, or this process where no Ray runs.

An actor has one shard at a time, so a lost one (killed, out of memory, its node gone) costs that
shard's work and nothing else: the shard goes to the next actor, and a new actor takes the place.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stages.trace.settings import TracePlacement
from stages.trace.shards import Counts, Shard, make_shard

_LOG = logging.getLogger(__name__)

LOSSES = 3
"""So many workers a shard may lose. One that takes its worker along every time would do so in every
run; leaving it out instead would let the machine's bad luck decide what the artifact holds."""
_NOTICE_SECONDS = 60.0


class ShardLostError(RuntimeError):
    """A shard lost its worker again and again; says which, and how the last one ended."""


def make_shards(
    shards: Sequence[Shard], folder: Path, placement: TracePlacement
) -> Iterator[Counts]:
    """Make shards into ``folder`` and yield what each came to, as they are done.

    Raises `ShardLostError`, and whatever a shard raises.
    """
    import ray  # planning imports this package, and needs no Ray

    if ray.is_initialized():
        yield from _by_actors(shards, folder, placement)
    else:
        for shard in shards:
            yield make_shard(shard, folder)


class _Worker:
    """What runs in an actor."""

    def make(self, shard: Shard, folder: Path) -> Counts:
        begun = time.process_time()
        counts = make_shard(shard, folder)
        counts.worker_seconds = time.process_time() - begun
        return counts


def _by_actors(
    shards: Sequence[Shard], folder: Path, placement: TracePlacement
) -> Iterator[Counts]:
    import ray

    actor = ray.remote(_Worker).options(num_cpus=placement.cpus, max_restarts=0)
    waiting, losses = deque(shards), Counter[str]()
    idle = [actor.remote() for _ in range(min(placement.workers, len(shards)))]
    busy: dict[Any, tuple[Any, Shard]] = {}
    try:
        while waiting or busy:
            while idle and waiting:
                worker, shard = idle.pop(), waiting.popleft()
                busy[worker.make.remote(shard, folder)] = (worker, shard)
            for reference in _ready(busy):
                worker, shard = busy.pop(reference)
                try:
                    counts = ray.get(reference)
                except (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError) as error:
                    losses[shard.name] += 1
                    _count_loss(shard, losses[shard.name], error)
                    ray.kill(worker)
                    idle.append(actor.remote())
                    waiting.appendleft(shard)
                else:
                    idle.append(worker)
                    yield counts
    finally:
        for worker in [*idle, *(worker for worker, _ in busy.values())]:
            ray.kill(worker)


def _ready(busy: dict[Any, tuple[Any, Shard]]) -> list[Any]:
    """Wait for a result; say what is waited for when there is none for long."""
    import ray

    while True:
        ready: list[Any] = ray.wait(list(busy), timeout=_NOTICE_SECONDS)[0]
        if ready:
            return ready
        names = ", ".join(shard.name for _, shard in busy.values())
        free = ray.available_resources().get("CPU", 0.0)
        _LOG.info("still at %s; %g CPUs are free for workers that are to start", names, free)


def _count_loss(shard: Shard, count: int, error: Exception) -> None:
    said = str(error).strip().splitlines()[0]
    if count >= LOSSES:
        raise ShardLostError(
            f"shard {shard.name} lost {count} workers, the last one by: {said}. Give the workers "
            "more memory, or leave out what is in it (trace.excluded_origins)"
        ) from error
    _LOG.warning("shard %s lost its worker (%s); it is tried again", shard.name, said)
