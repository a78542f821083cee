"""After a call: nothing of it may be left, no process, no file, no change to the server itself.

What cannot be undone makes the server unclean; the client then replaces it with its whole sandbox.
"""

# Every call pays for this, and objects for paths would be most of it.
# ruff: noqa: PTH101, PTH106, PTH108, PTH116, PTH123, PTH208

from __future__ import annotations

import os
import resource
import signal
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_SYSTEM_V = [f"/proc/sysvipc/{kind}" for kind in ("shm", "sem", "msg")]
_LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
_PAGE = resource.getpagesize()


@dataclass(frozen=True, slots=True)
class Crowd:
    """The processes and threads of a call, and the memory that they do not share with us."""

    count: int
    memory_bytes: int


def crowd() -> Crowd:
    """Count what runs in this sandbox, the server left out.

    Memory is what each process holds beyond what the server holds, which it began with.
    """
    own = resident_and_mapped()[0]
    count = memory = 0
    for process in _others():
        with suppress(OSError, ValueError):  # it has just ended
            count += os.stat(f"/proc/{process}/task").st_nlink - 2
            memory += max(0, resident_and_mapped(process)[0] - own)
    return Crowd(count, memory)


def end_all() -> None:
    """Kill and reap everything else in this sandbox; whatever hangs, the client does not wait for.

    Orphans come to the server, which is process 1 or their subreaper. So when it has no child left
    it has no descendant left.
    """
    while True:
        if os.getpid() == 1:
            with suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        else:
            for child in _children(os.getpid()):
                os.kill(child, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _others() -> Iterator[int]:
    """List the processes of this sandbox: all but process 1, or the descendants of this one."""
    if os.getpid() == 1:
        yield from (int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1")
        return
    found = _children(os.getpid())
    while found:
        process = found.pop()
        yield process
        found += _children(process)


def _children(process: int) -> list[int]:
    """List the children of every thread of a process."""
    found: list[int] = []
    with suppress(OSError):  # it has ended
        for file in Path(f"/proc/{process}/task").glob("*/children"):
            found += map(int, file.read_text().split())
    return found


def resident_and_mapped(process: int | str = "self") -> tuple[int, int]:
    """Return how many bytes a process holds and how much of its address space is in use."""
    with open(f"/proc/{process}/statm", "rb") as file:
        mapped, resident = map(int, file.read().split()[:2])
    return resident * _PAGE, mapped * _PAGE


class Cleaner:
    """Knows how the sandbox was before the first call; ``clean`` makes it so again."""

    def __init__(self, scratch: str, *, filtered: bool) -> None:
        self._scratch = scratch
        self._filtered = filtered
        self._left = _left(scratch)
        self._self = _self()

    def clean(self) -> bool:
        """Undo what a call did; False when something of it is left, or may be."""
        end_all()
        return (
            _left(self._scratch) == self._left
            and _self() == self._self
            and (self._filtered or _no_system_v_objects())
        )


def _left(scratch: str) -> list[str] | None:
    """Empty ``scratch``; return what leads to mount points and stays, None if more is left."""
    try:
        return sorted(_wipe(scratch))
    except (OSError, RecursionError):  # as a chain of directories longer than a path may be
        return None


def _wipe(folder: str) -> list[str]:
    """Empty ``folder`` down to mount points; return them and the directories that lead to them.

    Nothing but the server runs by now, so that nothing changes under its hands.
    """
    left, device = [], os.lstat(folder).st_dev
    with os.scandir(folder) as entries:
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            if status.st_dev != device:
                left.append(entry.path)
            elif stat.S_ISDIR(status.st_mode):
                left += _wipe_folder(entry.path, status)
            else:
                os.unlink(entry.path)
    return left


def _wipe_folder(folder: str, status: os.stat_result) -> list[str]:
    if status.st_mode & 0o700 != 0o700:
        os.chmod(folder, 0o700)
    left = _wipe(folder)
    if not left:
        try:
            os.rmdir(folder)
        except OSError:  # where it leads to a mount point of bubblewrap's own, root has made it
            return [folder]
    return [folder, *left] if left else []


def _self() -> list[object]:
    """Return what another process of the same user could change about this one."""
    scheduling = os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)
    limits = [resource.getrlimit(kind) for kind in _LIMITS]
    return [scheduling, os.sched_getaffinity(0), limits]


def _no_system_v_objects() -> bool:
    for path in _SYSTEM_V:
        with suppress(FileNotFoundError), open(path) as file:
            if len(file.readlines()) > 1:
                return False
    return True
