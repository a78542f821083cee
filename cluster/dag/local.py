"""Runs steps one after another in the driver's own process, without Ray: for debugging."""

from __future__ import annotations

from dataclasses import replace

from cluster.dag.attempt import Done, StepFailedError, Work, run_attempt
from cluster.dag.errors import DagError
from cluster.dag.executor import Failure
from cluster.dag.placement import Node, this_machine


class LocalBackend:
    """`cluster.dag.executor.Backend` whose `start` returns when the attempt has ended."""

    def __init__(self) -> None:
        self._ended: list[tuple[str, Done | Failure]] = []

    def nodes(self) -> list[Node]:
        """Return this machine."""
        return this_machine()

    def start(self, work: Work, node: str | None) -> None:
        """Make the attempt here and now."""
        try:
            result: Done | Failure = run_attempt(replace(work, driver=None, echo=True))
        except StepFailedError as error:
            result = Failure(str(error))
        except DagError as error:
            result = Failure(f"{type(error).__name__}: {error}")
        self._ended.append((work.step.name, result))

    def ended(self, seconds: float) -> list[tuple[str, Done | Failure]]:
        """Return what ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def stop(self, *, save: bool) -> None:
        """Nothing runs besides the caller."""
