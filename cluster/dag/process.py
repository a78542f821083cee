"""Which process is this, is that one still alive, and how much processor time was used.

A pid alone is not enough: pids are reused, and containers on one kernel have each their own
numbering. The boot id and the pid name space say whether a pid means anything here; its start time
says whether it is the same process.
"""

from __future__ import annotations

import os
import resource
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@cache
def _machine() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"


def _stat(pid: int) -> tuple[str, str] | None:
    """Return (state, start time in ticks since boot) of a process, None when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name, in brackets, may hold spaces
    return fields[0], fields[19]


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessId:
    """A process, named so that it is not mistaken for another."""

    host: str
    machine: str
    pid: int
    started: str

    def is_here(self) -> bool:
        """Whether this process could see that one (same boot, same pid name space)."""
        return self.machine == _machine()

    def is_dead(self) -> bool:
        """Whether it is known to have ended; False also when it cannot be seen from here."""
        if not self.is_here():
            return False
        found = _stat(self.pid)
        return found is None or found[0] in "ZX" or found[1] != self.started


def this_process() -> ProcessId:
    """Return the running process."""
    found = _stat(os.getpid())
    assert found is not None, "/proc does not show this process"
    return ProcessId(
        host=socket.gethostname(), machine=_machine(), pid=os.getpid(), started=found[1]
    )


def cpu_seconds() -> float:
    """Processor seconds of this process and of its children that have ended."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    return total
