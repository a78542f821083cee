"""Processes that a test started: who descends from whom, and whether they are gone."""

from __future__ import annotations

from pathlib import Path


def title(pid: int) -> bytes:
    """What a process calls itself, or the path of its program; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0].strip()
    except OSError:
        return b""


def _stat(pid: int | str) -> list[str]:
    """State, parent's pid, ... of a process that has not ended, else nothing."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []
    return fields if fields[0] not in "ZX" else []


def _pids() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]


def children(pid: int) -> list[int]:
    """All descendants of a process."""
    found = []
    for other in _pids():
        if (fields := _stat(other)) and int(fields[1]) == pid:
            found += [other, *children(other)]
    return found


def started(pids: list[int]) -> dict[int, str]:
    """When each process started, which tells it from a later one with the same number."""
    return {pid: fields[19] for pid in pids if (fields := _stat(pid))}


def alive(processes: dict[int, str]) -> list[int]:
    """Which of these (from `started`) are still there."""
    now = started(list(processes))
    return [pid for pid, since in processes.items() if now.get(pid) == since]


def marked(variable: str) -> list[int]:
    """All processes that have ``NAME=value`` in their environment."""
    found = []
    for pid in _pids():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if variable.encode() in environment and _stat(pid):
            found.append(pid)
    return found
