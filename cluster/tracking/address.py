"""Where MLflow is: the embedded sqlite database in the store, or a server that MLFLOW_TRACKING_URI
names.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.tracking.contract import TrackingError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "open-cwm"
"""The one experiment of all pipelines: the UI does not show a model taken from another experiment.
"""

MEMORY = "tracking.json"


def embedded_uri(store: Path) -> str:
    """Return the address of the store's own sqlite database."""
    return f"sqlite:///{store.resolve() / 'mlflow.db'}"


def choose_uri(uri: str | None, store: Path, nodes: int | None = None) -> str:
    """Return the tracking address: ``uri``, else MLFLOW_TRACKING_URI, else the store's own
    database.

    Raises `TrackingError` when Ray has several nodes and the address is not a server's: sqlite is
    for one node.
    """
    chosen = uri or os.environ.get("MLFLOW_TRACKING_URI") or embedded_uri(store)
    count = ray_nodes() if nodes is None else nodes
    if count > 1 and chosen != "none" and not chosen.startswith(("http://", "https://")):
        raise TrackingError(
            f"this Ray cluster has {count} nodes and the tracking address is {chosen}: a database "
            "file cannot be shared between nodes. Start `mlflow server` where every node reaches "
            "it and set MLFLOW_TRACKING_URI=http://HOST:PORT"
        )
    return chosen


def ray_nodes() -> int:
    """Return the number of live nodes of the Ray that this process is connected to; 1 without
    Ray.
    """
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return 1
    return sum(1 for node in ray.nodes() if node["Alive"])


def connect(uri: str, store: Path) -> tuple[MlflowClient, str]:
    """Return a client for ``uri`` and the id of the experiment, both made when absent.

    The first connection to a new sqlite database makes its tables (seconds); a lock lets one
    process do it.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    if uri.startswith(("http://", "https://")):
        _check_server(uri)
        client, experiment = _open(uri, None)
        _remember(store, uri, experiment)
        return client, experiment
    artifacts = (store / "mlflow-artifacts").resolve()
    try:
        store.mkdir(parents=True, exist_ok=True)
        with (store / ".mlflow.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            client, experiment = _open(uri, artifacts.as_uri())
            _remember(store, uri, experiment)
            return client, experiment
    except PermissionError as error:
        raise TrackingError(
            f"the tracking database needs to be written in {store}: {error}. "
            "Choose another --store, or set MLFLOW_TRACKING_URI to a server"
        ) from error


def remembered(store: Path) -> dict[str, str]:
    """Return the address and experiment that this store was last recorded at, {} when it never
    was.
    """
    file = store / MEMORY
    return json.loads(file.read_text()) if file.exists() else {}


def _remember(store: Path, uri: str, experiment: str) -> None:
    """Note the address in the store, so that lineage can print links without loading MLflow."""
    memory = {"uri": uri, "experiment": experiment}
    if remembered(store) != memory:
        partial = store / f"{MEMORY}.{os.getpid()}"
        partial.write_text(json.dumps(memory))
        partial.replace(store / MEMORY)


def _open(uri: str, artifacts: str | None) -> tuple[MlflowClient, str]:
    from mlflow.exceptions import MlflowException  # two seconds of import
    from mlflow.tracking import MlflowClient

    logging.getLogger("mlflow.store.db.utils").setLevel(
        logging.WARNING
    )  # says that it makes tables
    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        try:
            return client, client.create_experiment(EXPERIMENT, artifact_location=artifacts)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(EXPERIMENT)
    return client, str(found.experiment_id)


def _check_server(uri: str) -> None:
    """Raise `TrackingError` at once when no server answers: MLflow's own retries take minutes."""
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=20):
            return
    except urllib.error.HTTPError:
        return  # it answers; whether it lets us in is MLflow's to say
    except OSError as error:
        raise TrackingError(
            f"no MLflow server answers at {uri} ({error}): start it, or unset MLFLOW_TRACKING_URI "
            "to record into the store's own database"
        ) from error
