"""What a tracker is to the executor, and the tracker that records nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class TrackingError(RuntimeError):
    """Tracking cannot work as asked; says which address and what to do."""


@dataclass(frozen=True, slots=True)
class InputRef:
    """An input of an attempt: its name there, kind, content digest, artifact directory and the run
    that made it.

    ``path`` may be absolute or relative to the store; ``run_id`` may be "" when the producer was
    not tracked.
    """

    name: str
    kind: str
    digest: str
    path: Path | str
    run_id: str = ""


class Tracker(Protocol):
    """Records a pipeline as a run, and each attempt of a step as a child run of it.

    ``status`` is MLflow's: ``FINISHED``, ``FAILED`` or ``KILLED``. ``artifact`` is the content of
    ``artifact.json``; for a failed attempt, what there is of it.
    """

    def start_pipeline(
        self, name: str, preset: str, command: str, params: Mapping[str, Any]
    ) -> str:
        """Start the run of a whole pipeline; return its id."""
        ...

    def finish_pipeline(self, run_id: str, status: str) -> None:
        """End the pipeline's run; its description then lists the steps."""
        ...

    def start_attempt(
        self,
        pipeline_run_id: str,
        *,
        step: str,
        stage: str,
        fingerprint: str,
        attempt: str,
        settings: Mapping[str, Any],
        inputs: Sequence[InputRef],
    ) -> str:
        """Start the run of one attempt, with its settings and inputs; return its id."""
        ...

    def finish_attempt(
        self,
        run_id: str,
        *,
        artifact: Mapping[str, Any],
        path: Path,
        status: str,
        error: str = "",
    ) -> None:
        """End an attempt's run: record its statistics, small files, and what it made."""
        ...

    def record_cached(
        self, pipeline_run_id: str, *, step: str, artifact: Mapping[str, Any], path: Path
    ) -> str:
        """Record that a step was not run because ``artifact`` was there; return the run's id."""
        ...

    def mirror(self, run_id: str, metrics_file: Path) -> AbstractContextManager[Any]:
        """Return a context in which new lines of ``metrics_file`` reach the run every few
        seconds.
        """
        ...

    def link(self, run_id: str) -> str:
        """Return the address of a run in the UI, "" when nothing is recorded."""
        ...


class NoTracker:
    """Records nothing; every run id is "". See `Tracker` for the methods."""

    def start_pipeline(
        self, name: str, preset: str, command: str, params: Mapping[str, Any]
    ) -> str:
        """Return no run."""
        return ""

    def finish_pipeline(self, run_id: str, status: str) -> None:
        """Do nothing."""

    def start_attempt(
        self,
        pipeline_run_id: str,
        *,
        step: str,
        stage: str,
        fingerprint: str,
        attempt: str,
        settings: Mapping[str, Any],
        inputs: Sequence[InputRef],
    ) -> str:
        """Return no run."""
        return ""

    def finish_attempt(
        self,
        run_id: str,
        *,
        artifact: Mapping[str, Any],
        path: Path,
        status: str,
        error: str = "",
    ) -> None:
        """Do nothing."""

    def record_cached(
        self, pipeline_run_id: str, *, step: str, artifact: Mapping[str, Any], path: Path
    ) -> str:
        """Return no run."""
        return ""

    def mirror(self, run_id: str, metrics_file: Path) -> AbstractContextManager[Any]:
        """Return a context that does nothing."""
        return nullcontext()

    def link(self, run_id: str) -> str:
        """Return no address."""
        return ""
