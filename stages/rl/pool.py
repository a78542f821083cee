"""Rollout requests out, groups of trajectories back: in this process, or from Ray actors."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stages.rl.selection import Group

log = logging.getLogger(__name__)

PLACE_SECONDS = 60.0
"""After so long it is said what workers wait for."""
RESTART_SECONDS = 60.0
"""How long an actor that died may take to be back, when no other is left."""


class RolloutError(RuntimeError):
    """A request failed too often or no worker answers; says which worker, request and cause."""


@dataclass(frozen=True, slots=True)
class Request:
    """Prompts to sample. The same request and weights give the same trajectories.

    ``version`` asks for exactly that version of the weights; None takes the latest, and newer ones
    on the way.
    """

    id: int
    tasks: tuple[str, ...]
    samples: int
    seed: int
    temperature: float = 1.0
    version: int | None = None
    heldout: bool = False


@dataclass(frozen=True, slots=True)
class Rollouts:
    """What came back for a request."""

    request: Request
    groups: list[Group]
    seconds: float
    tokens: int
    """Sampled tokens."""


class RolloutPool(Protocol):
    """Where requests run."""

    capacity: int
    """Requests that keep every worker busy."""

    @property
    def in_flight(self) -> int:
        """Requests submitted and not yet returned."""

    def submit(self, request: Request) -> None:
        """Queue a request."""

    def wait(self) -> list[Rollouts]:
        """Return at least one finished request, or raise `RolloutError`."""

    def close(self) -> None:
        """Release the workers."""


class LocalPool:
    """Runs requests in this process, one after the other, when they are waited for."""

    capacity = 1

    def __init__(
        self,
        rollout: Callable[[Request], Rollouts],
        close: Callable[[], object],
        max_failures: int = 3,
    ) -> None:
        self._rollout, self._close, self._max_failures = rollout, close, max_failures
        self._queue: deque[Request] = deque()

    @property
    def in_flight(self) -> int:
        """Requests not yet run."""
        return len(self._queue)

    def submit(self, request: Request) -> None:
        """Queue a request."""
        self._queue.append(request)

    def wait(self) -> list[Rollouts]:
        """Run the oldest request; errors are retried like those of remote workers."""
        request = self._queue.popleft()
        for attempt in range(1, self._max_failures + 1):
            try:
                return [self._rollout(request)]
            except (RuntimeError, OSError) as error:
                log.warning("request %d failed (attempt %d): %s", request.id, attempt, error)
                cause = error
        raise RolloutError(
            f"request {request.id} failed {self._max_failures} times in this process: {cause!r}"
        ) from cause

    def close(self) -> None:
        """Release the worker's sandbox."""
        self._close()


@dataclass(slots=True)
class _Flight:
    request: Request
    worker: int
    failures: int


class RayPool:
    """Spreads requests over rollout actors; a failed one is given to the next actor.

    An actor that died is restarted by Ray within its ``max_restarts`` and gets nothing until it is
    back; its requests fail at once, so the trainer never waits on the dead.
    """

    def __init__(
        self,
        actors: Sequence[Any],
        *,
        per_actor: int = 2,
        max_failures: int = 3,
        timeout: float = 300.0,
    ) -> None:
        self._actors = list(actors)
        self.capacity = per_actor * len(self._actors)
        self._max_failures, self._timeout = max_failures, timeout
        self._flights: dict[Any, _Flight] = {}
        self._down: dict[int, Any] = {}  # actors being restarted, and their sign of life to come
        self._dead: dict[int, str] = {}
        self._wait_until_started()

    def _wait_until_started(self) -> None:
        import ray

        refs = [actor.ready.remote() for actor in self._actors]
        for seconds in (min(PLACE_SECONDS, self._timeout), self._timeout):
            _, late = ray.wait(refs, num_returns=len(refs), timeout=seconds)
            if not late:
                break
            waiting = (
                f"{len(late)} of {len(refs)} rollout workers did not start within {seconds:.0f} s; "
                f"free resources are {ray.available_resources()}"
            )
            log.warning("%s", waiting)
        else:
            raise RolloutError(
                f"{waiting}: lower rl's cpus_per_rollout or rollout_workers, or add nodes"
            )
        try:
            ray.get(refs)
        except ray.exceptions.RayError as error:
            raise RolloutError(f"a rollout worker could not start: {error}") from error

    @property
    def in_flight(self) -> int:
        """Requests submitted and not yet returned."""
        return len(self._flights)

    def submit(self, request: Request) -> None:
        """Give a request to the least loaded actor."""
        self._send(request, failures=0, avoid=None)

    def _send(self, request: Request, failures: int, avoid: int | None) -> None:
        loads = dict.fromkeys(self._living(), 0)
        for flight in self._flights.values():
            if flight.worker in loads:
                loads[flight.worker] += 1
        if avoid in loads:
            loads[avoid] += len(self._flights) + 1
        worker = min(loads, key=lambda number: loads[number])
        ref = self._actors[worker].rollout.remote(request)
        self._flights[ref] = _Flight(request, worker, failures)

    def _living(self) -> list[int]:
        """Return the actors that take requests; when all are down, wait for one to be back."""
        until = time.monotonic() + RESTART_SECONDS
        while True:
            self._look_after_the_down()
            living = [
                number
                for number in range(len(self._actors))
                if number not in self._down and number not in self._dead
            ]
            if living:
                return living
            if not self._down:
                raise RolloutError(f"every rollout worker is dead; the last one: {self._dead}")
            if time.monotonic() > until:
                raise RolloutError(
                    f"no rollout worker was back {RESTART_SECONDS:.0f} s after the last one died"
                )
            time.sleep(0.5)

    def _look_after_the_down(self) -> None:
        import ray

        for number, sign in list(self._down.items()):
            if not ray.wait([sign], timeout=0)[0]:
                continue
            del self._down[number]
            try:
                ray.get(sign)
            except ray.exceptions.ActorUnavailableError:
                self._down[number] = self._actors[number].ready.remote()
            except ray.exceptions.RayError as error:
                self._dead[number] = str(error)

    def wait(self) -> list[Rollouts]:
        """Return what is finished, waiting for at least one result."""
        import ray

        deadline = time.monotonic() + self._timeout
        done: list[Rollouts] = []
        while not done:
            if not self._flights:
                raise RolloutError("nothing was submitted that could be waited for")
            refs = list(self._flights)
            ready, _ = ray.wait(refs, num_returns=1, timeout=5.0)
            if ready:  # take what else is there as well
                ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
            elif time.monotonic() > deadline:
                workers = sorted({flight.worker for flight in self._flights.values()})
                raise RolloutError(
                    f"rollout workers {workers} gave no result for {self._timeout:.0f} s "
                    "(rl placement: request_timeout)"
                )
            for ref in ready:
                done.extend(self._take(ref, self._flights.pop(ref)))
        return done

    def _take(self, ref: Any, flight: _Flight) -> list[Rollouts]:
        import ray

        try:
            return [ray.get(ref)]
        except ray.exceptions.RayError as error:
            failures = flight.failures + 1
            if isinstance(error, ray.exceptions.RayActorError):
                self._down.setdefault(flight.worker, self._actors[flight.worker].ready.remote())
            log.warning(
                "rollout worker %d failed on request %d (failure %d of %d): %s",
                flight.worker,
                flight.request.id,
                failures,
                self._max_failures,
                str(error).strip().splitlines()[-1],
            )
            if failures >= self._max_failures:
                raise RolloutError(
                    f"request {flight.request.id} failed {failures} times, last on rollout worker "
                    f"{flight.worker}: {error}"
                ) from error
            self._send(flight.request, failures, avoid=flight.worker)
            return []

    def close(self) -> None:
        """Forget what is still running; the actors belong to whoever started them."""
        self._flights.clear()
