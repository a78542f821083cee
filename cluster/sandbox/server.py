"""The server inside the sandbox: the entry modules imported once, one fork for each call.

Started as ``python -P -s -B -m cluster.sandbox.server`` with requests on standard input and replies
on standard output. ``-I`` would be stricter by name, but it makes Python ignore PYTHONHASHSEED; the
environment is cleared anyway.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from cluster.sandbox import kernel, seccomp
from cluster.sandbox.child import run_child
from cluster.sandbox.framing import (
    FrameReader,
    FramingError,
    OverBudgetError,
    read_frame,
    write_frame,
    write_json,
)
from cluster.sandbox.sweep import Cleaner, crowd, end_all, resident_and_mapped

_WATCH_SECONDS = 0.05
_FILES = 1 << 16


def main() -> None:
    """Take on what the first frame says, say so, then serve calls until standard input closes."""
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a program may send it to pid 1
    setup = json.loads(read_frame(requests))
    scratch = setup["scratch"]
    _volunteer()
    if setup["user"]:
        _become(setup["user"], scratch)
    _protect()
    for module in setup["preload"]:
        import_module(module)
    if setup["filter"]:
        seccomp.load()
    cleaner = Cleaner(scratch, filtered=setup["filter"])
    gc.collect()
    gc.disable()  # the server makes no cycles; its objects stay out of the children's collections
    gc.freeze()
    write_json(replies, {"ready": True})
    mapped_bytes = resident_and_mapped()[1]
    number = 0
    while True:
        try:
            request = json.loads(read_frame(requests))
        except FramingError:
            os._exit(0)
        request |= {"home": f"{scratch}/call{number}", "mapped_bytes": mapped_bytes}
        number += 1
        reply, body, output = _serve(request, scratch, requests)
        reply["clean"] = cleaner.clean()
        write_json(replies, reply)
        write_frame(replies, body)
        write_frame(replies, output)


def _volunteer() -> None:
    """Be among the first that the kernel kills when memory runs out: a sandbox is replaced."""
    Path("/proc/self/oom_score_adj").write_text("1000")


def _become(user: int, scratch: str) -> None:
    """Go from root to a user without any capability, for whom ``scratch`` is writable."""
    Path(scratch).chmod(0o1777)  # sticky: what leads to a mount point in it stays root's
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _protect() -> None:
    """Keep programs, which are the same user, from this process's memory; adopt their orphans;
    hold no capability.
    """
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user has undone it
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.set_capabilities()


def _serve(
    request: dict[str, Any], scratch: str, requests: int
) -> tuple[dict[str, Any], bytes, bytes]:
    """Fork, wait for the result, kill; return the reply, the result and the captured output."""
    limits = request["limits"]
    output = os.open(scratch, os.O_TMPFILE | os.O_RDWR, 0o600) if request["capture"] else -1
    reader, writer = os.pipe()
    started = time.monotonic()
    pid = os.fork()
    if not pid:
        run_child(request, writer, output)
    os.close(writer)
    watch = os.pidfd_open(pid)
    handles = (reader, watch, requests)
    body, end = _wait(handles, started + limits["wall_seconds"], limits, scratch)
    os.close(reader)
    os.close(watch)
    wall = time.monotonic() - started
    os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    cpu = usage.ru_utime + usage.ru_stime
    if end == "gone":
        end = _cause_of_death(status, cpu, limits)
    captured = b""
    if output >= 0:
        captured = os.pread(output, limits["output_bytes"], 0)
        os.close(output)
    return {"end": end, "cpu": cpu, "wall": wall}, body, captured


def _wait(
    handles: tuple[int, int, int], deadline: float, limits: dict[str, Any], scratch: str
) -> tuple[bytes, str]:
    """Wait for a whole frame; return it and "", or nothing and what happened instead.

    ``handles`` are the result's pipe, the child, and the requests, which say nothing meanwhile
    unless the client is gone. Then all ends here: after a change of user the kernel's signal at a
    parent's death does not get through.
    """
    reader, watch, requests = handles
    frame = FrameReader(limits["output_bytes"])
    next_count = time.monotonic() + _WATCH_SECONDS
    files = _files(scratch) + _FILES
    while True:
        now = time.monotonic()
        if now >= deadline:
            return b"", f"timeout:wall limit of {limits['wall_seconds']} s"
        if now >= next_count:  # by the clock: a program that keeps us busy is counted too
            if excess := _excess(limits) or (_files(scratch) > files and "output:too many files"):
                return b"", excess
            next_count = time.monotonic() + _WATCH_SECONDS
        ready = select.select(handles, [], [], max(0.0, min(deadline, next_count) - now))[0]
        if requests in ready:
            end_all()
            os._exit(0)
        if reader in ready:
            try:
                body = frame.feed(reader)
            except OverBudgetError as error:
                return b"", f"output:{error}"
            except FramingError:
                return b"", "gone"
            if body is not None:
                return body, ""
        elif watch in ready:
            return b"", "gone"


def _excess(limits: dict[str, Any]) -> str:
    """Say what all of a call's processes have too much of together; the kernel bounds each."""
    found = crowd()
    if found.count > limits["processes"]:
        return f"crash:{found.count} processes and threads, allowed are {limits['processes']}"
    if found.memory_bytes > limits["memory_bytes"]:
        return f"memory:{found.memory_bytes} bytes, allowed are {limits['memory_bytes']}"
    return ""


def _files(scratch: str) -> int:
    status = os.statvfs(scratch)
    return status.f_files - status.f_ffree


def _cause_of_death(status: int, cpu: float, limits: dict[str, Any]) -> str:
    """Name why a child died without a result."""
    if os.WIFEXITED(status):
        return f"crash:exited with status {os.WEXITSTATUS(status)} without a result"
    number = os.WTERMSIG(status)
    if number == signal.SIGXCPU or cpu >= limits["cpu_seconds"]:
        return f"timeout:CPU limit of {limits['cpu_seconds']} s"
    if number == signal.SIGKILL:
        return "memory:killed by the kernel"
    return f"crash:killed by {signal.Signals(number).name}"


if __name__ == "__main__":
    main()
