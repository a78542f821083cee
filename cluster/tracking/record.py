"""The door to tracking: `open_tracker` returns what the executor records pipelines and attempts
with.
"""

from __future__ import annotations

from pathlib import Path

from cluster.tracking.address import choose_uri
from cluster.tracking.contract import InputRef, NoTracker, Tracker, TrackingError

__all__ = ["InputRef", "NoTracker", "Tracker", "TrackingError", "open_tracker"]


def open_tracker(uri: str | None, store: Path, *, nodes: int | None = None) -> Tracker:
    """Return a tracker that records at ``uri``, else at MLFLOW_TRACKING_URI, else in the store
    itself.

    ``uri="none"`` records nothing. ``nodes`` is the number of Ray's nodes, None to ask Ray.
    Connecting to a new sqlite database takes seconds: the driver does it before the steps'
    processes. Raises `TrackingError` when several nodes would share a database file, when no server
    answers, or when the store cannot be written.
    """
    chosen = choose_uri(uri, store, nodes)
    if chosen == "none":
        return NoTracker()
    from cluster.tracking.mlflow_tracker import MlflowTracker

    return MlflowTracker(chosen, store)
