"""Use of the machine while a step runs: CPU, memory, disk, network and, with nvidia-ml-py, GPUs.

MLflow's own monitor records them as ``system/…`` every ten seconds; a shorter step has none. They
are of the node that the step's process is on: of training workers elsewhere, Ray's dashboard tells.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor


@contextmanager
def system_metrics(run_id: str, uri: str, interval: float = 10.0) -> Iterator[None]:
    """Record the machine's use in a run, every ``interval`` seconds, while the context lasts."""
    logging.getLogger("mlflow.system_metrics").setLevel(
        logging.WARNING
    )  # says when it starts, ends
    monitor = SystemMetricsMonitor(run_id, sampling_interval=interval, tracking_uri=uri)
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()
