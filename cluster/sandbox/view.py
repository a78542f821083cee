"""What a program in the sandbox sees of this machine, the same in every layer that hides the rest.

``/usr``, what the interpreter needs, the project's code and what a caller adds, all read-only and
at their own paths; a temporary directory in memory; ``/proc`` and ``/dev`` of its own.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SCRATCH = "/tmp"
SCRATCH_BYTES = 256 << 20
SCRATCH_FILES = 1 << 16
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",  # the order of sets is part of what a trace shows
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
WRITABLE_BY_ROOT = ("sys", "sysrq-trigger", "irq", "bus")
"""What of ``/proc`` sets up the machine; nobody may, not even root."""
_SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin")
_LINKER = ("/etc/ld.so.cache", "/etc/alternatives")


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """What is shown: directories and files by path, and symbolic links by path and target."""

    shown: tuple[str, ...]
    links: tuple[tuple[str, str], ...]

    @property
    def folders(self) -> list[str]:
        """The directories above what is shown, outermost first; they are made for it."""
        above = {str(up) for path in self.shown for up in Path(path).parents}
        return sorted(above - {"/", SCRATCH} - set(self.shown), key=len)

    @property
    def private(self) -> list[str]:
        """What is shown but closed to other users, who then cannot run programs from it."""
        return [path for path in self.shown if not _is_open(Path(path))]


def view(read_only: Iterable[Path]) -> View:
    """Return the view with the system's directories and ``read_only``."""
    links, system = [], []
    for path in map(Path, _SYSTEM):
        if path.is_symlink():
            links.append((str(path), str(path.readlink())))
        elif path.exists():
            system.append(path)
    system += [path for path in map(Path, _LINKER) if path.exists()]
    return View(shown=_outermost([*system, *read_only]), links=tuple(links))


@cache
def interpreter_paths() -> tuple[Path, ...]:
    """Return what the running interpreter needs: its prefixes and its site-packages."""
    paths = {sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib")}
    paths |= {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    paths.add(str(Path(sys.executable).resolve().parent))
    return tuple(Path(path) for path in sorted(paths))


def package_paths(root: Path) -> list[Path]:
    """Return the packages directly under ``root``: the project's code, not its data."""
    return sorted(file.parent for file in root.glob("*/__init__.py"))


def _is_open(path: Path) -> bool:
    needed = 0o005 if path.is_dir() else 0o004
    return path.stat().st_mode & needed == needed


def _outermost(paths: Iterable[Path]) -> tuple[str, ...]:
    """Drop paths that lie inside others."""
    kept: list[Path] = []
    for path in sorted({Path(os.path.abspath(path)) for path in paths}):  # noqa: PTH100  with ..
        if path.exists() and not any(path.is_relative_to(outer) for outer in kept):
            kept.append(path)
    return tuple(map(str, kept))
