"""Who recorded a run: host, process and commit; and closing the runs whose process is gone."""

from __future__ import annotations

import functools
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_ROOT = Path(__file__).resolve().parents[2]


def process_tags() -> dict[str, str]:
    """Return tags that identify the recording process; its start time tells a reused pid apart."""
    process = psutil.Process()
    return {
        "cwm.host": socket.gethostname(),
        "cwm.pid": str(process.pid),
        "cwm.process_started": f"{process.create_time():.2f}",
        "cwm.python": ".".join(map(str, sys.version_info[:3])),
    }


@functools.cache
def code_version() -> dict[str, str]:
    """Return the commit that this code is checked out at, and whether files differ; {} outside a
    checkout.
    """
    if not (_ROOT / ".git").exists():
        return {}
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):  # no git, or a repository it refuses to read
        return {}
    return {"mlflow.source.git.commit": commit, "cwm.modified": "yes" if changed else "no"}


def _git(*arguments: str) -> str:
    result = subprocess.run(
        ["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=True, timeout=20
    )
    return result.stdout.strip()


def close_dead_runs(client: MlflowClient, experiment: str) -> list[str]:
    """End, as KILLED, the runs that a process of this host left open when it died; return their
    ids.
    """
    here = f"attributes.status = 'RUNNING' AND tags.`cwm.host` = '{socket.gethostname()}'"
    running = client.search_runs([experiment], filter_string=here, max_results=1000)
    dead = [run.info.run_id for run in running if not _alive(run.data.tags)]
    for run_id in dead:
        client.set_terminated(run_id, "KILLED")
    return dead


def _alive(tags: dict[str, str]) -> bool:
    try:
        process = psutil.Process(int(tags["cwm.pid"]))
        return f"{process.create_time():.2f}" == tags["cwm.process_started"]
    except (psutil.NoSuchProcess, KeyError, ValueError):
        return False
