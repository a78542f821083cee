"""Log lines while RL runs: the step's process follows the metrics file, which ranks write."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster.dag.metrics import read_metrics

log = logging.getLogger(__name__)
SECONDS = 5.0


@contextmanager
def follow(metrics_file: Path, steps: int) -> Iterator[None]:
    """Log the newest line of ``metrics_file`` every few seconds while the block runs."""
    ended = threading.Event()
    follower = threading.Thread(target=_follow, args=(metrics_file, steps, ended), daemon=True)
    follower.start()
    try:
        yield
    finally:
        ended.set()
        follower.join()


def _follow(metrics_file: Path, steps: int, ended: threading.Event) -> None:
    began: tuple[float, int] | None = None
    shown = 0
    while not ended.wait(SECONDS):
        lines = list(read_metrics(metrics_file))
        step = lines[-1]["step"] if lines else 0
        if step == shown:
            log.info(
                "step %d/%d: %s",
                step,
                steps,
                "starting workers, scoring held-out prompts"
                if step in (0, steps)
                else "filling a batch",
            )
            continue
        left = ""
        if began:
            pace = (time.monotonic() - began[0]) / (step - began[1])
            left = f", {pace * (steps - step):.0f} s left"
        began = began or (time.monotonic(), step)
        shown = step
        log.info("%s%s", describe(lines[-1], steps), left)


def describe(line: dict[str, Any], steps: int) -> str:
    """One line of metrics in words."""
    metrics = line["metrics"]
    return (
        f"step {line['step']}/{steps}: solve rate {metrics['solve_rate']:.3f}, "
        f"groups kept {100 * metrics['groups_kept']:.0f} %, "
        f"entropy {metrics.get('entropy', 0.0):.2f}, staleness {metrics['staleness']:.1f}, "
        f"{metrics['batch_tokens']:.0f} tokens"
    )
