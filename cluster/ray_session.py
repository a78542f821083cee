"""The Ray session of a run, and where its store is.

RAY_ADDRESS set (as it is inside a Ray job): join that cluster. Otherwise start a Ray of our own
that ends with this process; never join one that merely happens to run on the machine.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster.dag.errors import DagError
from cluster.dag.placement import Node

PASSED_ON = (
    "CUDA_DEVICE_MAX_CONNECTIONS",
    "CWM_ALLOW_UNSANDBOXED",
    "CWM_STORE",
    "HF_HOME",
    "HF_HUB_OFFLINE",
    "MLFLOW_DISABLE_TELEMETRY",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "OMP_NUM_THREADS",
    "TORCH_EXTENSIONS_DIR",
)
"""Variables of the driver that workers on other nodes get too. Without OMP_NUM_THREADS Ray gives
every process as many threads as it asked for CPUs."""

QUIET = {
    "PYTHONWARNINGS": "ignore::FutureWarning",  # DeepSpeed calls deprecated torch functions
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # logs an error in every short run
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # would print everything twice
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # says the same as a warning otherwise
    "TOKENIZERS_PARALLELISM": "false",
}

_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray sets it for the driver of a submitted job
_TOKEN_LOGGER = "ray._private.authentication.authentication_token_setup"
_NODE_PREFIX = ("node:", "object_store_memory")


class StoreUnknownError(DagError):
    """On several nodes nothing says where the shared store is; names CWM_STORE."""


def inside_ray_job() -> bool:
    """Whether this process is the driver of a submitted Ray job."""
    return _JOB in os.environ


def joins_cluster() -> bool:
    """Whether a cluster was named to join."""
    return bool(os.environ.get("RAY_ADDRESS"))


def store_path(option: str | None, nodes: int = 1) -> tuple[Path, str]:
    """Return the store's absolute path, and in words where that comes from.

    ``option`` (--store), else CWM_STORE, else ``./runs``. Inside a Ray job the working directory
    is a throw-away copy: there ``~/cwm-runs`` on one node, and on several `StoreUnknownError`.
    """
    if option:
        return Path(option).expanduser().absolute(), "--store"
    if variable := os.environ.get("CWM_STORE"):
        return Path(variable).expanduser().absolute(), "CWM_STORE"
    if not inside_ray_job():
        return Path("runs").absolute(), "the default"
    if nodes > 1:
        raise StoreUnknownError(
            f"the cluster has {nodes} nodes, and a job's working directory is a throw-away copy:"
            " set CWM_STORE (or --store) to a directory that all nodes share"
        )
    return Path.home() / "cwm-runs", "a Ray job's working directory is a throw-away copy"


@contextmanager
def ray_session(root: Path, *, verbose: bool = False) -> Iterator[None]:
    """Open Ray for the block. ``root`` is the project's directory, which workers import from."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray  # heavy, and it reads the variables set above

    # Says at every start that Ray made a token, which is as it should be.
    logging.getLogger(_TOKEN_LOGGER).setLevel(logging.ERROR)
    common: dict[str, Any] = {"log_to_driver": verbose, "logging_level": logging.WARNING}
    if joins_cluster():
        ray.init(runtime_env=_runtime_environment(root), **common)
    else:
        # Workers inherit this process's environment; the project may not be installed.
        paths = [str(root), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
        ray.init(address="local", include_dashboard=False, **common)
    try:
        yield
    finally:
        ray.shutdown()


def _runtime_environment(root: Path) -> dict[str, Any]:
    """Return what the workers of a cluster that was joined get from this driver."""
    names = [name for name in (*PASSED_ON, *QUIET) if name in os.environ]
    runtime: dict[str, Any] = {"env_vars": {name: os.environ[name] for name in names}}
    if inside_ray_job():
        # The job brings the working directory; variables given with it are ours already.
        os.environ["RAY_OVERRIDE_JOB_RUNTIME_ENV"] = "1"
    else:
        runtime["working_dir"] = str(root)
        runtime["excludes"] = ["/runs/", "/tests/", ".git", ".venv*"]
    return runtime


def free_nodes() -> list[Node]:
    """Return the nodes of the cluster with what is free on each, and those it could add."""
    from ray._private.state import available_resources_per_node

    nodes = [Node(name, _own(free)) for name, free in available_resources_per_node().items()]
    return [*nodes, *_nodes_to_come(len(nodes))]


def all_nodes() -> list[Node]:
    """Return the nodes of the cluster with all they have, and those it could add."""
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    nodes = [Node(node["NodeID"], _own(node["Resources"])) for node in alive]
    return [*nodes, *_nodes_to_come(len(nodes))]


def _own(resources: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in resources.items() if not key.startswith(_NODE_PREFIX)}


def _nodes_to_come(alive: int) -> list[Node]:
    """Return the nodes that the autoscaler may add, as `ray up` describes them on the head."""
    file = Path.home() / "ray_bootstrap_config.yaml"
    if not joins_cluster() or not file.exists():
        return []
    import yaml

    config = yaml.safe_load(file.read_text())
    most = int(config.get("max_workers", 0)) + 1 - alive
    found = []
    for kind, entry in config.get("available_node_types", {}).items():
        if kind != config.get("head_node_type"):
            count = min(most, int(entry.get("max_workers", 0)))
            found += [Node(f"{kind} {i + 1}", entry.get("resources", {})) for i in range(count)]
    return found
