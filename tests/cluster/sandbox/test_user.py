"""The sandbox for somebody who is not root, also where the tests are run by root.

Root becomes nobody, in a mount namespace where nobody can read the interpreter and the project.
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.sandbox.layer import ROOT
from cluster.sandbox.view import interpreter_paths, package_paths

PROGRAM = """
import json, os, sys
from cluster.sandbox import Limits, Sandbox
limits = Limits(cpu_seconds=1, wall_seconds=2, processes=16, memory_bytes=256 << 20)
EXHAUST, REACH = (f"tests.cluster.sandbox.attacks.{name}" for name in ("exhaust", "reach"))
with Sandbox(layer=sys.argv[1], preload=(EXHAUST, REACH), limits=limits) as box:
    found = {
        "user": os.getuid(),
        "own_user": box.own_user,
        "forks": box.call(EXHAUST + ":fork_count", None).value,
        "escapes": box.call(REACH + ":escape_calls", None).value,
        "server": box.call(REACH + ":server_through_proc", None).value,
        "secrets": box.call(REACH + ":read_paths", ["/etc/shadow", "/etc/passwd"]).value,
        "next": box.call(EXHAUST + ":leftovers", None).value,
        "starts": box.starts,
    }
print(json.dumps(found))
"""


def as_nobody(command: list[str], paths: list[Path]) -> list[str]:
    """Return a command line for root that runs ``command`` as nobody, who can read ``paths``."""
    lines = ["set -e"]
    closed = {above for path in paths for above in path.parents if not above.stat().st_mode & 1}
    for top in sorted(top for top in closed if not closed & set(top.parents)):
        inside = [path for path in paths if path.is_relative_to(top)]
        kept = {path: f"/mnt/{number}" for number, path in enumerate(inside)}
        lines.append("mount -t tmpfs kept /mnt")
        lines += [f"mkdir {at} && mount --rbind {path} {at}" for path, at in kept.items()]
        lines.append(f"mount -t tmpfs -o mode=755 open {top}")
        lines += [
            f"mkdir -p {path} && mount --rbind {place} {path}" for path, place in kept.items()
        ]
    user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    lines.append("exec " + shlex.join([*user, "--bounding-set=-all", *command]))
    return ["unshare", "--mount", "--propagation", "private", "bash", "-c", "\n".join(lines)]


@pytest.mark.parametrize("layer", ["bwrap", "unshare"])
def test_anybody_can_contain_programs(layer):
    tests = ROOT / "tests"
    command = [sys.executable, "-c", PROGRAM, layer]
    if os.geteuid() == 0:
        paths = [*interpreter_paths(), *package_paths(ROOT), tests]
        command = as_nobody(command, [path for path in paths if path.exists()])
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["user"] != 0 and found["own_user"] == ""
    assert found["forks"] < 16  # the kernel's limit, which does not bind root
    assert set(found["escapes"].values()) == {"EPERM"}
    assert found["server"] == [] and found["next"] == [] and found["starts"] == 1
    assert set(found["secrets"]) == {"ENOENT"}
