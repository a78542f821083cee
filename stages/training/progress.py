"""Log lines while workers train, read from the metrics they write."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from cluster.dag.metrics import read_metrics
from stages.training.job import Job

EVERY = 5.0
"""Seconds between lines."""
_BAR = 20

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
    started, earlier, seen = time.perf_counter(), len(_lines(job)), 0
    while not done.wait(EVERY):
        lines = _lines(job)[earlier:]  # before them lies the time in which nothing ran
        if not lines:
            log.info("workers are starting (%.0f s)", time.perf_counter() - started)
        elif lines[-1]["step"] != seen:
            seen = lines[-1]["step"]
            log.info("%s", line_of(job, lines))


def _lines(job: Job) -> list[dict[str, Any]]:
    return [line for line in read_metrics(job.metrics_file) if "mfu" in line["metrics"]]


def line_of(job: Job, lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the log line after some lines of metrics: a bar, step, loss, rate, time left."""
    step, steps, metrics = lines[-1]["step"], job.settings.steps, lines[-1]["metrics"]
    filled = "█" * (_BAR * step // steps)
    loss = f"loss {metrics['loss']:.3f}" if "loss" in metrics else "steps are skipped"
    left = (steps - step) * seconds_per_step(job, lines)
    skipped = f", {metrics['skipped_steps']:.0f} skipped" if metrics["skipped_steps"] else ""
    return (
        f"{filled:░<{_BAR}} step {step:,} of {steps:,}, {loss}, "
        f"{metrics['tokens_per_second']:,.0f} tokens/s, MFU {metrics['mfu']:.0%}, "
        f"{duration(left)} left{skipped}"
    )


def seconds_per_step(job: Job, lines: Sequence[Mapping[str, Any]]) -> float:
    """Return the seconds that a step took lately, with checkpoints and validations in between."""
    first, last = lines[max(0, len(lines) - 20)], lines[-1]
    if last["step"] > first["step"]:  # else there is one line, or a restart lies in between
        return float((last["time"] - first["time"]) / (last["step"] - first["step"]))
    return float(job.settings.tokens_per_step / max(last["metrics"]["tokens_per_second"], 1e-9))


def duration(seconds: float) -> str:
    """Return seconds as people say them: 42 s, 5 min, 3 h 20 min, 4 d 2 h."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 90:
        return f"{minutes} min"
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} d {hours % 24} h"
