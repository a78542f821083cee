"""The command lines that enter the two layers which hide the machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from cluster.sandbox.view import SCRATCH, SCRATCH_BYTES, WRITABLE_BY_ROOT, View


def bwrap_command(
    view: View, environment: Mapping[str, str], *, change_user: bool = False
) -> list[str]:
    """Return bubblewrap with everything up to the program to run.

    Everything is mounted read-only but ``/tmp``, a file system in memory of its own. With
    ``change_user``, for root, there is no user namespace and the program keeps what it takes to
    become another user, which leaves it with nothing.
    """
    command = ["bwrap", "--as-pid-1", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    if change_user:
        command += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
        command += ["--unshare-cgroup-try", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += ["--unshare-all"]
    command += ["--clearenv"]
    for name, value in environment.items():
        command += ["--setenv", name, value]
    command += ["--proc", "/proc"]
    for name in WRITABLE_BY_ROOT:  # by user number, even without any capability
        command += ["--ro-bind-try", f"/proc/{name}", f"/proc/{name}"]
    command += ["--dev", "/dev", "--remount-ro", "/dev"]
    command += ["--size", str(SCRATCH_BYTES), "--tmpfs", SCRATCH]
    for folder in view.folders:
        command += ["--dir", folder]  # made by itself it would be closed to other users
    for path in view.shown:
        command += ["--ro-bind", path, path]
    for path, target in view.links:
        command += ["--symlink", target, path]
    return [*command, "--remount-ro", "/", "--chdir", SCRATCH, "--"]


def namespaces_command(
    view: View, environment: Mapping[str, str], python: str, *, change_user: bool = False
) -> tuple[list[str], dict[str, str]]:
    """Return `cluster.sandbox.namespaces` up to the program to run, and its environment.

    ``change_user`` as in `bwrap_command`.
    """
    given = json.dumps({**asdict(view), "change_user": change_user, "environment": {**environment}})
    command = [python, "-P", "-S", "-B", "-m", "cluster.sandbox.namespaces", given]
    return command, {"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "LANG": "C.UTF-8"}
