"""Log lines while workers train, read from the metrics they write."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cluster.dag.metrics import read_metrics
from stages.training.job import Job

EVERY = 5.0
"""Seconds between lines."""

log = logging.getLogger(__name__)


@contextmanager
def progress(job: Job) -> Iterator[None]:
    """Log steps, loss, rate and time left every few seconds, until the context ends."""
    done = threading.Event()
    thread = threading.Thread(target=_report, args=(job, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _report(job: Job, done: threading.Event) -> None:
    started, seen = time.perf_counter(), 0
    while not done.wait(EVERY):
        lines = [line for line in read_metrics(job.metrics_file) if "loss" in line["metrics"]]
        if not lines:
            log.info("workers are starting (%.0f s)", time.perf_counter() - started)
        elif lines[-1]["step"] != seen:
            seen = lines[-1]["step"]
            log.info("%s", line_of(job, seen, lines[-1]["metrics"]))


def line_of(job: Job, step: int, metrics: dict[str, float]) -> str:
    """Return the log line after ``step`` steps."""
    rate = metrics["tokens_per_second"]
    left = (job.settings.steps - step) * job.settings.tokens_per_step / max(rate, 1e-9)
    return (
        f"step {step:,} of {job.settings.steps:,}, loss {metrics['loss']:.3f}, "
        f"{rate:,.0f} tokens/s, {left:.0f} s left"
    )
