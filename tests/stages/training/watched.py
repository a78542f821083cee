"""Training that says which rows it takes, is slow enough to be killed, and writes torn files.

As a program it is a driver of its own: ``python -m tests.stages.training.watched job.pickle``.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cluster.dag.metrics import read_metrics
from stages.training import worker
from stages.training.job import Job
from stages.training.rows import Cursor, Rows

STEP_SECONDS = 0.04
"""How long a step takes at least."""
WRITE_SECONDS = 0.4
"""How long half of a file is on the disk."""

PAUSE = "pause"
"""While there is a file with this name in the scratch directory no step begins."""


def watch(job: Job) -> None:
    """From now on this process notes what its steps take, and is slow."""
    from cluster.deepspeed.snapshot import CopiedFile

    take, write = Rows.take, CopiedFile.write

    def noted(self: Rows, cursor: Any, count: int) -> Any:
        rows, after = take(self, cursor, count)
        pieces = [
            [self.sources[source].name, start, end]
            for row in rows
            for source, start, end in zip(row.source, row.start, row.end, strict=True)
        ]
        if os.environ.get("RANK", "0") == "0":
            with (job.scratch / "taken.jsonl").open("a") as file:
                file.write(json.dumps([cursor.step, pieces]) + "\n")
        time.sleep(STEP_SECONDS)
        while (job.scratch / PAUSE).exists():
            time.sleep(STEP_SECONDS)
        return rows, after

    def torn(self: CopiedFile, file: Path) -> None:
        write(self, file)
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        time.sleep(WRITE_SECONDS)
        file.write_bytes(whole)

    Rows.take, CopiedFile.write = noted, torn  # type: ignore[method-assign]


def in_worker(config: dict[str, Any]) -> Exception | None:
    """In the place of what Ray Train's workers run."""
    watch(config["job"])
    return train_in_worker(config)


train_in_worker = worker._in_worker


def run_watched(job: Job) -> None:
    """`run_job` with `watch` in its workers, or in this process."""
    worker._in_worker = in_worker
    if not job.placement.workers:
        watch(job)
    worker.run_job(job)


def losses(job: Job) -> dict[int, float]:
    """The loss of every step, the last time it was made; made again, it was nearly the same."""
    return {step: values[-1] for step, values in all_losses(job).items()}


def all_losses(job: Job) -> dict[int, list[float]]:
    """The losses of every step, each time that it was made."""
    found: dict[int, list[float]] = {}
    for line in read_metrics(job.metrics_file):
        if "loss" in line["metrics"]:
            found.setdefault(line["step"], []).append(line["metrics"]["loss"])
    return found


def taken(job: Job) -> dict[int, list[Any]]:
    """The pieces of every step; made again, it took the same."""
    found: dict[int, list[Any]] = {}
    for line in (job.scratch / "taken.jsonl").read_text().splitlines():
        try:
            step, pieces = json.loads(line)
        except json.JSONDecodeError:
            continue  # killed in the middle of the line
        assert found.setdefault(step, pieces) == pieces
    return found


def assert_nothing_lost(job: Job) -> None:
    """All steps were made, of all documents in their order, none twice and none left out."""
    steps, rows = taken(job), job.rows()
    assert sorted(steps) == list(range(job.settings.steps))
    seen = [tuple(piece) for step in sorted(steps) for piece in steps[step]]
    assert len(seen) == len(set(seen))  # the training is shorter than an epoch
    cursor, expected = Cursor(), []
    for _ in range(job.settings.steps):
        part, cursor = rows.take(cursor, job.settings.rows_per_step)
        expected += [
            (rows.sources[source].name, start, end)
            for row in part
            for source, start, end in zip(row.source, row.start, row.end, strict=True)
        ]
    assert seen == expected


def step_of(job: Job) -> int:
    """The last step that is logged."""
    return max((line["step"] for line in read_metrics(job.metrics_file)), default=0)


def wait_for(condition: Callable[[], object], seconds: float = 600) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.01)


def saves(job: Job, step: int | None = None) -> bool:
    """Whether a checkpoint (after ``step``) is being written: half of one of its files is there."""
    name = "step*" if step is None else f"step{step:09d}*"
    return any((job.scratch / "checkpoints").glob(f"{name}.partial/shards/*.pt"))


if __name__ == "__main__":
    given: Job = pickle.loads(Path(sys.argv[1]).read_bytes())
    if given.placement.workers:
        import ray

        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    run_watched(given)
