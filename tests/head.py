"""A Ray head of the tests' own, as a cluster has one: own ports, own folders, ended by its pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


def free_ports(count: int) -> list[int]:
    """Free TCP ports below Ray's default worker range (10002 and up), which `ray start` refuses."""
    found: list[int] = []
    port = 6500 + os.getpid() % 2500
    while len(found) < count:
        port += 1
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return found


@dataclass(frozen=True)
class Head:
    """A running head: its dashboard's address and the environment in which it was started."""

    address: str
    environment: dict[str, str]

    def submit(self, *entrypoint: str, timeout: float = 1200) -> subprocess.CompletedProcess[str]:
        """Run ``ray job submit --working-dir . -- ENTRYPOINT`` and return its result."""
        command = [str(Path(sys.executable).parent / "ray"), "job", "submit"]
        command += ["--address", self.address, "--working-dir", ".", "--", *entrypoint]
        return subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


class HeadError(RuntimeError):
    """The head did not come up; its log is in the message."""


def start_head(
    store: Path | None, home: Path, cpus: int = 2
) -> tuple[Head, subprocess.Popen[bytes], Path]:
    """Start ``ray start --head --block`` and wait for its dashboard."""
    gcs, dashboard, agent, client, metrics = free_ports(5)
    folder = Path(tempfile.mkdtemp(prefix="cwm-", dir="/tmp"))  # short: unix sockets have 107 bytes
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "CWM_"))}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_NUM_THREADS": "1",
    }
    if store is not None:
        environment["CWM_STORE"] = str(store)
    command = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block"]
    command += [f"--num-cpus={cpus}", f"--port={gcs}", f"--dashboard-port={dashboard}"]
    command += [f"--dashboard-agent-listen-port={agent}", f"--ray-client-server-port={client}"]
    command += [
        f"--metrics-export-port={metrics}",
        f"--temp-dir={folder}",
        '--resources={"sandbox": 2}',
    ]
    log = (folder / "head.log").open("wb")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=home)
    address = f"http://127.0.0.1:{dashboard}"
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(f"{address}/api/version", timeout=2):
                return Head(address, environment), process, folder
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if process.poll() is not None or time.monotonic() > deadline:
                stop_head(process, folder=None)
                raise HeadError((folder / "head.log").read_text()) from None
            time.sleep(0.5)


def stop_head(process: subprocess.Popen[bytes], folder: Path | None) -> None:
    """End the head that `start_head` began: SIGTERM lets it end its own processes."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
