"""Metrics and statistics of a step, as files in its artifact.

The files are the record of truth: the tracker mirrors ``metrics.jsonl`` to MLflow while the step
runs, and the report reads them without MLflow. Any process of the step may append to
``metrics.jsonl``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def log_metrics(file: Path, metrics: Mapping[str, float], *, step: int) -> None:
    """Append ``{"step", "time", "metrics"}`` to ``file`` in one write: lines never interleave."""
    line = json.dumps({"step": step, "time": time.time(), "metrics": dict(metrics)}) + "\n"
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def read_metrics(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of ``metrics.jsonl``; of a step replayed after a resume the later counts."""
    if not file.exists():
        return
    with file.open() as lines:
        for line in lines:
            if line.endswith("\n"):
                yield json.loads(line)


def write_statistics(file: Path, statistics: Mapping[str, Any]) -> None:
    """Write the step's final statistics: a JSON object whose numbers become MLflow metrics."""
    file.write_text(json.dumps(statistics, indent=1, sort_keys=True) + "\n")


def read_statistics(file: Path) -> dict[str, Any]:
    """Read ``statistics.json``; an absent file is an empty object."""
    return json.loads(file.read_text()) if file.exists() else {}
