"""One attempt of a step, in the step's own process: lease, work, check, digest, publish."""

from __future__ import annotations

import logging
import os
import platform
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.dag.artifact import Artifact, Record, content_digest, describe_files
from cluster.dag.errors import DagError, StoppedError
from cluster.dag.identity import Identity, placement_json
from cluster.dag.lease import Lease
from cluster.dag.metrics import read_statistics
from cluster.dag.process import ProcessId, cpu_seconds
from cluster.dag.stage import Input, StepContext, resolve
from cluster.dag.step import Step
from cluster.dag.step_log import step_log
from cluster.dag.store import StepFolder, Store

if TYPE_CHECKING:
    from cluster.tracking.record import Tracker

log = logging.getLogger(__name__)

_VERSIONS = ("apache-beam", "deepspeed", "mlflow", "numpy", "pyarrow", "ray", "tokenizers", "torch")


class StepFailedError(DagError):
    """A step raised; says which, what it raised, and where its log is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tracking:
    """Where attempts are recorded: the tracker's address ("none": nowhere) and the parent run."""

    uri: str | None = "none"
    pipeline_run_id: str = ""
    nodes: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """All that a step's process needs to make an attempt.

    ``inputs`` are the steps that made them and their artifacts. ``forced`` makes a new attempt
    even when another run published the same identity meanwhile. ``driver``, when it is another
    process, ends the attempt by its own end. ``echo`` prints what the step logs. ``token`` tells
    this run's stop file from those of others that wait for the same lease or went before.
    """

    step: Step
    identity: Identity
    inputs: Mapping[str, tuple[str, Artifact]]
    code: Mapping[str, str]
    store: Store
    tracking: Tracking
    forced: bool = False
    driver: ProcessId | None = None
    echo: bool = False
    token: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def folder(self) -> StepFolder:
        """The folder of the step's identity."""
        return self.store.folder(self.step.stage.name, self.identity.fingerprint)

    @property
    def stop_file(self) -> Path:
        """The file that asks the attempt to save and end."""
        return self.folder.scratch / f"stop-{self.token}"

    def ask_to_stop(self) -> bool:
        """Ask the attempt to save and end; False when it cannot, or has not begun."""
        if not self.step.stage.saves_when_stopped:
            return False
        try:
            self.stop_file.touch()
        except OSError:
            return False
        return True


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """An attempt that ended well; ``fresh`` is False when another run had published meanwhile."""

    path: Path
    fresh: bool


def run_attempt(work: Work) -> Done:
    """Make an attempt of a step and publish it.

    Raises `StepFailedError` for whatever the stage or the tracker raised, else a `DagError`.
    """
    try:
        return _leased(work)
    except DagError:
        raise
    except Exception as error:  # one step's failure must not end the others
        log.exception("%s failed", work.step.name)
        raise StepFailedError(f"{type(error).__name__}: {error}") from error


def _leased(work: Work) -> Done:
    """Hold the step's lease while an attempt is made, unless another run has made one."""
    step, folder = work.step, work.folder

    def end_with_driver() -> None:
        # A killed driver must not leave its steps at work: they hold leases and processors.
        if work.driver is not None and work.driver.is_dead():
            os._exit(143)

    with Lease(folder.path, step.name, end_with_driver) as lease:
        if not work.forced and (found := folder.current(step.name)) is not None:
            return Done(path=found.path, fresh=False)
        attempt, output, resumed = folder.begin(work.code)
        module = step.stage.run.partition(":")[0]
        with step_log(output / "log.txt", step.name, module, echo=work.echo):
            log.info("attempt %s %s", attempt, "goes on" if resumed else "begins")
            return _tracked(work, folder, attempt, output, lease)


def _tracked(work: Work, folder: StepFolder, attempt: str, output: Path, lease: Lease) -> Done:
    """Make the attempt and tell the tracker how it went."""
    tracker = open_tracker(work)
    run_id = tracker.start_attempt(
        work.tracking.pipeline_run_id,
        step=work.step.name,
        stage=work.step.stage.name,
        fingerprint=work.identity.fingerprint,
        attempt=attempt,
        settings=work.identity.settings,
        inputs=_references(work),
    )
    failure, status = "", "KILLED"
    artifact: Artifact | None = None
    try:
        with tracker.mirror(run_id, output / "metrics.jsonl"):
            record = _make(work, folder, attempt, output, run_id)
        lease.check()
        artifact = folder.publish(output, record)
        status = "FINISHED"
    except StoppedError as error:
        log.info("%s", error)
        raise
    except Exception as error:
        log.exception("failed")
        status, failure = "FAILED", f"{type(error).__name__}: {error}"
        raise StepFailedError(f"{failure}\nlog: {output / 'log.txt'}") from error
    finally:
        partial = {"step": work.step.name, "stage": work.step.stage.name, "attempt": attempt}
        tracker.finish_attempt(
            run_id,
            artifact=artifact.as_json() if artifact else partial,
            path=artifact.path if artifact else output,
            status=status,
            error=failure,
        )
    return Done(path=artifact.path, fresh=True)


_ELSEWHERE = ("worker_cpu_seconds", "sandbox_cpu_seconds")
"""Statistics in which a stage says what its other processes used."""


def _make(work: Work, folder: StepFolder, attempt: str, output: Path, run_id: str) -> Record:
    """Run the stage's function, check what it made, and describe it."""
    step, stage = work.step, work.step.stage
    began, wall, cpu = datetime.now(UTC), time.monotonic(), cpu_seconds()
    resolve(stage.run)(_context(work, folder, attempt, output))
    if stage.output.check is not None:
        resolve(stage.output.check)(output)
    statistics = read_statistics(output / "statistics.json")
    used = cpu_seconds() - cpu + sum(float(statistics.get(name, 0.0)) for name in _ELSEWHERE)
    log.info("done in %.1f s, %.1f s of processor time", time.monotonic() - wall, used)
    files = describe_files(output)
    return Record(
        step=step.name,
        stage=stage.name,
        revision=stage.revision,
        kind=stage.output.name,
        fingerprint=work.identity.fingerprint,
        attempt=attempt,
        content_digest=content_digest(stage.output, output, files),
        settings=work.identity.settings,
        placement=placement_json(step.placement),
        inputs={name: _source(work, *source) for name, source in work.inputs.items()},
        snapshot=work.identity.snapshot,
        python=work.identity.python,
        code=work.code,
        files=files,
        statistics=statistics,
        versions=_versions(),
        started_at=began.isoformat(timespec="seconds"),
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        wall_seconds=round(time.monotonic() - wall, 3),
        cpu_seconds=round(used, 3),
        run_id=run_id,
        pipeline_run_id=work.tracking.pipeline_run_id,
        host=socket.gethostname(),
    )


def _context(work: Work, folder: StepFolder, attempt: str, output: Path) -> StepContext:
    inputs = {
        name: Input(
            path=artifact.path,
            kind=artifact.record.kind,
            digest=artifact.record.content_digest,
            statistics=artifact.record.statistics,
        )
        for name, (_, artifact) in work.inputs.items()
    }
    return StepContext(
        step=work.step.name,
        settings=work.step.settings,
        placement=work.step.placement,
        inputs=inputs,
        output=output,
        scratch=folder.scratch,
        fingerprint=work.identity.fingerprint,
        attempt=attempt,
        stop_file=work.stop_file,
        snapshot=work.identity.snapshot,
    )


def _source(work: Work, step: str, artifact: Artifact) -> dict[str, str]:
    record = artifact.record
    return {
        "step": step,
        "stage": record.stage,
        "kind": record.kind,
        "fingerprint": record.fingerprint,
        "attempt": record.attempt,
        "digest": record.content_digest,
        "path": work.store.relative(artifact.path),
    }


def open_tracker(work: Work) -> Tracker:
    """Return the tracker that the run uses; imports MLflow only when there is one."""
    from cluster.tracking.record import open_tracker as opened

    return opened(work.tracking.uri, work.store.path, nodes=work.tracking.nodes)


def _references(work: Work) -> list[Any]:
    from cluster.tracking.record import InputRef

    return [
        InputRef(
            name=name,
            kind=artifact.record.kind,
            digest=artifact.record.content_digest,
            path=artifact.path,
            run_id=artifact.record.run_id,
        )
        for name, (_, artifact) in work.inputs.items()
    ]


def _versions() -> dict[str, str]:
    """Return the versions of the interpreter and of the libraries that shape results."""
    found = {"python": platform.python_version(), "system": platform.platform()}
    for name in _VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
