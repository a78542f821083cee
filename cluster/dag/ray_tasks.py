"""Runs steps as Ray tasks.

A step's own task asks for no CPU: its workers (Ray Train, actors, a Beam runner's harnesses) ask
for what they use, and the executor's ledger has reserved all of it before the task starts.
"""

from __future__ import annotations

import logging
import signal
import time
from typing import Any

import ray
from ray.exceptions import NodeDiedError, RayError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cluster.dag.attempt import Done, StepFailedError, Work, run_attempt
from cluster.dag.containment import NotContainedError, containment
from cluster.dag.errors import DagError
from cluster.dag.executor import Failure
from cluster.dag.placement import Node
from cluster.ray_session import free_nodes

log = logging.getLogger(__name__)

SAVE_SECONDS = 10.0
"""How long steps that save a checkpoint when the run is stopped may take to end by themselves."""
STOP_SECONDS = 20.0
"""How long interrupted steps may take to end."""


@ray.remote(num_cpus=0, max_retries=0)
def step_task(work: Work) -> Done:
    """Make an attempt in a Ray worker; cancelling the task raises KeyboardInterrupt in it."""
    # Ray interrupts by SIGINT, which a process started in a shell's background ignores.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return run_attempt(work)


class RayBackend:
    """`cluster.dag.executor.Backend` on the Ray session that is open."""

    def __init__(self) -> None:
        self._running: dict[Any, Work] = {}

    def nodes(self) -> list[Node]:
        """Return the cluster's nodes with what is free on each."""
        return free_nodes()

    def start(self, work: Work, node: str | None) -> None:
        """Submit the attempt as a task, on ``node`` if there is room for its process."""
        options: dict[str, Any] = {"name": f"step {work.step.name}"}
        if node is not None and len(node) == 56:  # a node that is up; others are still to come
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node, soft=True)
        self._running[step_task.options(**options).remote(work)] = work

    def ended(self, seconds: float) -> list[tuple[str, Done | Failure]]:
        """Return the attempts that ended, waiting at most so long for the first."""
        ready, _ = ray.wait(list(self._running), num_returns=1, timeout=seconds)
        return [(self._running.pop(task).step.name, _result(task)) for task in ready]

    def stop(self, *, save: bool) -> None:
        """Interrupt all tasks, wait for them to release what they hold, then kill what is left.

        With ``save``, those that can are first asked to save where they are, and given time to.
        """
        asked = [task for task, work in self._running.items() if save and work.ask_to_stop()]
        _interrupt([task for task in self._running if task not in asked])
        _interrupt(_left_after(SAVE_SECONDS, asked))
        for task in _left_after(STOP_SECONDS, list(self._running)):
            step = self._running[task].step.name
            log.warning("%s did not stop within %.0f s; killed", step, STOP_SECONDS)
            ray.cancel(task, force=True)
        self._running.clear()


def _interrupt(tasks: list[Any]) -> None:
    for task in tasks:
        ray.cancel(task, force=False, recursive=True)


def _left_after(seconds: float, tasks: list[Any]) -> list[Any]:
    """Wait until the tasks have ended, at most so long; return those that have not."""
    until = time.monotonic() + seconds
    while tasks and time.monotonic() < until:
        _, tasks = ray.wait(tasks, num_returns=len(tasks), timeout=0.5)
    return tasks


def _result(task: Any) -> Done | Failure:
    """Return what a finished task returned, or how it failed."""
    try:
        done: Done = ray.get(task)
        return done
    except StepFailedError as error:  # Ray raises what the task raised
        return Failure(_own_words(error))
    except DagError as error:
        return Failure(f"{type(error).__name__}: {_own_words(error)}")
    except (WorkerCrashedError, NodeDiedError) as error:
        return Failure(f"its process was killed ({type(error).__name__})", crashed=True)
    except RayError as error:
        return Failure(f"{type(error).__name__}: {error}")


def _own_words(error: Exception) -> str:
    """Return the task's own message without Ray's copy of the remote traceback."""
    return str(getattr(error, "cause", error))


def contain_everywhere() -> None:
    """Check on every node that untrusted code can be contained; raises `NotContainedError`."""
    probe = ray.remote(num_cpus=0)(containment)
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    for node in nodes:
        strategy = NodeAffinitySchedulingStrategy(node, soft=False)
        try:
            ray.get(probe.options(scheduling_strategy=strategy).remote(), timeout=120)
        except NotContainedError as error:
            raise NotContainedError(f"node {node}: {_own_words(error)}") from error
