"""Which containment this host offers, and the bubblewrap command line.

There is one layer so far, ``bwrap``. A host without it is refused, with the command that installs
it: running strangers' code with less would have to be asked for, never fallen back to.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

INSTALL = "apt-get install bubblewrap"
_SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin")
_LINKER = ("/etc/ld.so.cache", "/etc/alternatives")
_SCRATCH_BYTES = 256 << 20
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",  # the order of sets is part of what a trace shows
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


class SandboxUnavailable(RuntimeError):  # noqa: N818  it names a state of the host
    """This host cannot contain untrusted code; says why and what to type."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """What `probe` found: the layer, or "" with the reason and what to type."""

    layer: str
    reason: str = ""
    install: str = ""


@cache
def probe() -> Probe:
    """Try the layers of this host by running ``true`` in them; asked once per process."""
    program = shutil.which("bwrap")
    if program is None:
        return Probe(layer="", reason="bwrap is not installed", install=INSTALL)
    command = [*bwrap_command(()), "/usr/bin/true"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if run.returncode:
        reason = f"bwrap cannot make a sandbox here: {run.stderr.strip()}"
        return Probe(layer="", reason=reason, install="allow user namespaces, or run as root")
    return Probe(layer="bwrap")


def require_layer() -> str:
    """Return the layer's name; raise `SandboxUnavailable` when there is none."""
    found = probe()
    if not found.layer:
        raise SandboxUnavailable(
            f"untrusted code cannot be contained here: {found.reason}. To do: {found.install}"
        )
    return found.layer


def bwrap_command(read_only: Iterable[Path]) -> list[str]:
    """Return bubblewrap with everything up to the program to run.

    ``read_only`` are shown at their own paths. Everything is mounted read-only but ``/tmp``, a file
    system in memory of its own.
    """
    command = ["bwrap", "--unshare-all", "--as-pid-1", "--die-with-parent", "--new-session"]
    command += ["--cap-drop", "ALL", "--clearenv"]
    for name, value in _ENVIRONMENT.items():
        command += ["--setenv", name, value]
    for path in _SYSTEM:
        if Path(path).is_symlink():
            command += ["--symlink", str(Path(path).readlink()), path]
        elif Path(path).exists():
            command += ["--ro-bind", path, path]
    for path in _LINKER:
        command += ["--ro-bind-try", path, path]
    command += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    command += ["--size", str(_SCRATCH_BYTES), "--tmpfs", "/tmp"]
    for bound in _outermost(read_only):
        command += ["--ro-bind", str(bound), str(bound)]
    return [*command, "--remount-ro", "/", "--chdir", "/tmp"]


def interpreter_paths() -> list[Path]:
    """Return what the running interpreter needs: its prefixes and its site-packages."""
    paths = {sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib")}
    paths |= {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    paths.add(str(Path(sys.executable).resolve().parent))
    return [Path(path) for path in paths]


def package_paths(root: Path) -> list[Path]:
    """Return the packages directly under ``root``: the project's code, not its data."""
    return sorted(file.parent for file in root.glob("*/__init__.py"))


def _outermost(paths: Iterable[Path]) -> Sequence[Path]:
    """Drop paths that lie inside others or inside ``/usr``, which is shown anyway."""
    kept: list[Path] = []
    for path in sorted({path.absolute() for path in paths}):
        inside = any(path.is_relative_to(outer) for outer in (*kept, Path("/usr")))
        if not inside and path.exists():
            kept.append(path)
    return kept
