"""The interpreter that a repository's tests run in, made without a network.

It is one that exists, or a fresh environment on it, filled from a folder of wheels: wheels are
unpacked, nothing of them is run. The repository itself is on the path of its tests, not installed.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stages.trace.repository.errors import RepositoryEnvironmentError
from stages.trace.repository.settings import RepositorySettings

_OLDEST = (3, 11)
_ASK = """
import importlib.metadata, json, os, sys, sysconfig
paths = {sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable))}
paths |= {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
found = importlib.metadata.distributions()
print(json.dumps({
    "version": sys.version_info[:3],
    "paths": sorted(paths),
    "distributions": sorted({(d.metadata["Name"] or "", d.version) for d in found}),
}))
"""


@dataclass(frozen=True, slots=True)
class Environment:
    """An interpreter that has pytest."""

    interpreter: str
    version: str
    """As 3.11.7."""
    paths: tuple[str, ...]
    """What a sandbox has to show for it to start."""
    distributions: tuple[tuple[str, str], ...]
    """(name, version) of what is installed."""


def environment_of(settings: RepositorySettings) -> Environment:
    """Return the environment of a repository; one from wheels is made once per process.

    Raises `RepositoryEnvironmentError` when the interpreter is missing, too old or without pytest,
    or when a wheel is missing.
    """
    interpreter = settings.interpreter or sys.executable
    if settings.wheels:
        interpreter = _from_wheels(interpreter, settings.wheels, settings.requirements)
    said = _ask(interpreter)
    version = ".".join(map(str, said["version"]))
    if tuple(said["version"]) < _OLDEST:
        raise RepositoryEnvironmentError(
            f"{interpreter} is Python {version}; the tracer needs 3.11 or newer"
        )
    installed = tuple((str(name), str(number)) for name, number in said["distributions"])
    if "pytest" not in {name.lower() for name, _ in installed}:
        raise RepositoryEnvironmentError(
            f"{interpreter} has no pytest: install it there, or name a folder of wheels"
        )
    return Environment(interpreter, version, tuple(said["paths"]), installed)


def wheel_digests(folder: str) -> list[list[str]]:
    """Return [file name, sha256] of each wheel in a folder, by name."""
    return [
        [file.name, hashlib.sha256(file.read_bytes()).hexdigest()]
        for file in sorted(Path(folder).glob("*.whl"))
    ]


@cache
def _ask(interpreter: str) -> dict[str, Any]:
    if shutil.which(interpreter) is None:
        raise RepositoryEnvironmentError(f"there is no interpreter {interpreter}")
    run = _run([interpreter, "-I", "-c", _ASK])
    if run.returncode or not run.stdout:
        raise RepositoryEnvironmentError(
            f"{interpreter} does not start as a Python: {run.stderr.strip()[-500:]}"
        )
    said: dict[str, Any] = json.loads(run.stdout)
    return said


@cache
def _from_wheels(interpreter: str, wheels: str, requirements: tuple[str, ...]) -> str:
    """Make an environment with ``requirements`` from the folder ``wheels``; return its Python."""
    if not any(Path(wheels).glob("*.whl")):
        raise RepositoryEnvironmentError(f"{wheels} holds no wheel")
    folder = Path(tempfile.mkdtemp(prefix="repository-environment-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = _run([interpreter, "-m", "venv", "--without-pip", str(folder)])
    if made.returncode:
        raise RepositoryEnvironmentError(
            f"{interpreter} makes no environment (python3-venv?): {made.stderr[-500:]}"
        )
    python = str(folder / "bin" / "python")
    command = [sys.executable, "-m", "pip", "--isolated", "--python", python, "install", "--quiet"]
    command += ["--disable-pip-version-check", "--no-index", "--find-links", wheels]
    installed = _run([*command, "--only-binary", ":all:", "--", *requirements])
    if installed.returncode:
        said = (installed.stderr or installed.stdout).strip()[-800:]
        raise RepositoryEnvironmentError(
            f"{', '.join(requirements)} cannot be installed from {wheels}: {said}"
        )
    return python


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)
