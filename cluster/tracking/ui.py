"""Serve MLflow's pages for a store on this machine, until Ctrl-C.

python -m cluster.tracking.ui --store runs --port 5000

One worker and no job execution: the embedded server is for one person looking. It listens on
127.0.0.1 only, because it has no login.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from cluster.tracking.address import embedded_uri, remembered
from cluster.tracking.contract import TrackingError
from cluster.tracking.names import run_link
from cluster.tracking.runs import newest_pipeline

HOST = "127.0.0.1"
START_SECONDS = 120  # 17 to 41 s were seen on two busy cores


def start_server(store: Path, port: int) -> subprocess.Popen[bytes]:
    """Start ``mlflow server`` for the database of ``store``; return its process.

    The process leads a group of its own, so that its workers can be ended with it. Raises
    `TrackingError` when the store has no database or the port is taken.
    """
    database = store / "mlflow.db"
    if not database.exists():
        raise TrackingError(
            f"{store} has no mlflow.db: run the pipeline first (`make run`), or name its --store"
        )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise TrackingError(f"port {port} is taken ({error}); choose another --port") from error
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", HOST]
    command += ["--port", str(port), "--backend-store-uri", embedded_uri(store)]
    command += ["--uvicorn-opts", "--log-level=warning"]
    command += ["--default-artifact-root", (store / "mlflow-artifacts").resolve().as_uri()]
    settings = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"} | settings
    return subprocess.Popen(command, env=environment, cwd=store, start_new_session=True)


def wait_until_up(process: subprocess.Popen[bytes], port: int) -> None:
    """Return when the server answers; raise `TrackingError` when it ends or stays silent."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise TrackingError(f"mlflow server ended with status {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise TrackingError(f"mlflow server did not answer on port {port} in {START_SECONDS} s")


def stop_server(process: subprocess.Popen[bytes]) -> None:
    """End the server and its workers; kill what is left after ten seconds."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def newest_link(store: Path, port: int) -> str:
    """Return the address of the newest pipeline's run, or of the UI when there is none."""
    base = f"http://{HOST}:{port}/"
    memory = remembered(store)
    if not memory:
        return base
    run = newest_pipeline(embedded_uri(store), memory["experiment"])
    return base + run_link(memory["experiment"], run) if run else base


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m cluster.tracking.ui", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--store", type=Path, default=Path(os.environ.get("CWM_STORE", "runs")))
    parser.add_argument("--port", type=int, default=5000)
    options = parser.parse_args(arguments)
    store = options.store.resolve()
    shared = remembered(store).get("uri", "") if store.is_dir() else ""
    if shared.startswith("http"):
        print(f"this store is recorded at the server {shared}; open it there")
        return 0
    try:
        process = start_server(store, options.port)
    except TrackingError as error:
        print(error, file=sys.stderr)
        return 1
    return _serve(process, store, options.port)


def _serve(process: subprocess.Popen[bytes], store: Path, port: int) -> int:
    def end(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    try:
        print("starting the MLflow server …", flush=True)
        wait_until_up(process, port)
        print(f"newest pipeline: {newest_link(store, port)}\nCtrl-C ends the server", flush=True)
        return process.wait()
    except KeyboardInterrupt:
        return 0
    except TrackingError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        stop_server(process)


if __name__ == "__main__":
    sys.exit(main())
