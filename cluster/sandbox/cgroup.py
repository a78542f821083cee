"""A control group for one sandbox: how many processes, and how much memory, all of it may have.

Both versions of the kernel's interface, where this process may make a group. The first version has
a hierarchy for each controller; in the second, a group of this process's own can have controllers
only when no process is in it, so the sandbox's becomes its sibling.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

_FILES = {
    "pids": ("pids.max", "pids.max"),
    "memory": ("memory.limit_in_bytes", "memory.max"),
}
_USED = ("memory.usage_in_bytes", "memory.current")
_NAME = "cwm-sandbox-"
_SWAP = "memory.swap.max"
_REMOVE_SECONDS = 2.0
_numbers = itertools.count()


class ControlGroup:
    """A new control group. Raises OSError where none can be made, with the reason."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._folders: dict[str, Path] = {}
        self._limits: tuple[int, int] | None = None
        self._base = 0
        name = f"{_NAME}{os.getpid()}-{next(_numbers)}"
        try:
            for controller in _FILES:
                self._folders[controller] = _make(_candidates(proc, controller), controller, name)
        except OSError:
            self.remove()
            raise

    @property
    def entrances(self) -> list[str]:
        """The files into which a process writes its number to be in the group."""
        return sorted({str(folder / "cgroup.procs") for folder in self._folders.values()})

    def started(self) -> None:
        """Take what the group uses by now as the server's share, which no program pays for."""
        self._base = int(_existing(self._folders["memory"], _USED).read_text())

    def limit(self, processes: int, memory: int) -> None:
        """Allow so many processes and threads and so many bytes beyond the server's own."""
        if (processes, memory) != self._limits:
            _existing(self._folders["pids"], _FILES["pids"]).write_text(str(processes + 1))
            total = str(self._base + memory)
            _existing(self._folders["memory"], _FILES["memory"]).write_text(total)
            self._limits = (processes, memory)

    def remove(self) -> None:
        """Remove the group once the last of its processes is gone; wait two seconds for that."""
        deadline = time.monotonic() + _REMOVE_SECONDS
        for folder in set(self._folders.values()):
            while folder.exists() and not _removed(folder) and time.monotonic() < deadline:
                time.sleep(0.002)
        self._folders.clear()


def _candidates(proc: Path, controller: str) -> list[Path]:
    """Return the groups in which a new one for ``controller`` may be possible, best first."""
    own = {}
    for line in (proc / "self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        own.update(dict.fromkeys(names.split(","), path))
    second = None
    for line in (proc / "self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        root, place = before.split()[3:5]
        kind, _, options = after.split(maxsplit=2)
        if kind == "cgroup" and controller in options.split(","):
            return [_below(place, root, own[controller])]
        if kind == "cgroup2" and "" in own:
            second = (Path(place), _below(place, root, own[""]))
    if second is None:
        raise FileNotFoundError(f"no control groups for {controller} are mounted")
    top, group = second
    return [group, group.parent] if group != top else [group]


def _below(place: str, root: str, group: str) -> Path:
    """Return the folder of ``group`` where ``root`` of its hierarchy is mounted at ``place``."""
    if not PurePosixPath(group).is_relative_to(root):
        raise FileNotFoundError(f"the own control group {group} is not below {root}, the mounted")
    return Path(place, PurePosixPath(group).relative_to(root))


def _make(candidates: Sequence[Path], controller: str, name: str) -> Path:
    """Make the group in the first place that gives it the controller."""
    for parent in candidates:
        _remove_stale(parent)
        folder = parent / name
        folder.mkdir(exist_ok=True)  # the second version has one folder for both controllers
        if any((folder / file).exists() for file in _FILES[controller]):
            if (folder / _SWAP).exists():
                (folder / _SWAP).write_text("0")
            return folder
        folder.rmdir()
    raise PermissionError(f"{candidates[-1]} does not hand the controller {controller} down")


def _remove_stale(parent: Path) -> None:
    """Remove groups whose makers were killed; one with processes in it stays."""
    for folder in parent.glob(f"{_NAME}*"):
        if not Path("/proc", folder.name.removeprefix(_NAME).split("-")[0]).exists():
            _removed(folder)


def _removed(folder: Path) -> bool:
    with suppress(OSError):
        folder.rmdir()
        return True
    return False


def _existing(folder: Path, names: Sequence[str]) -> Path:
    return next(folder / name for name in names if (folder / name).exists())
