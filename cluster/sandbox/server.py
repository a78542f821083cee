"""The server inside the sandbox: pid 1, the entry modules imported once, one fork for each call.

Started as ``python -P -s -B -m cluster.sandbox.server`` with requests on standard input and replies
on standard output. ``-I`` would be stricter by name, but it makes Python ignore PYTHONHASHSEED; the
environment is cleared anyway.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import signal
import stat
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from cluster.sandbox.child import run_child
from cluster.sandbox.framing import FrameReader, FramingError, read_frame, write_frame, write_json

_PR_SET_DUMPABLE = 4
_WATCH_SECONDS = 0.05
_SCRATCH = Path("/tmp")
_SYSTEM_V = [Path("/proc/sysvipc") / kind for kind in ("shm", "sem", "msg")]


def main() -> None:
    """Import what the first frame names, say so, then serve calls until standard input closes."""
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a program may send it to pid 1
    _hide_memory()
    for module in json.loads(read_frame(requests)):
        import_module(module)
    gc.collect()
    gc.disable()  # the server makes no cycles; its objects stay out of the children's collections
    gc.freeze()
    write_json(replies, {"ready": True})
    number = 0
    while True:
        try:
            request = json.loads(read_frame(requests))
        except FramingError:
            sys.exit(0)
        request["home"] = str(_SCRATCH / f"call{number}")
        number += 1
        reply, body, output = _serve(request)
        reply["clean"] = _sweep() and _wipe(_SCRATCH) and _no_leftovers()
        write_json(replies, reply)
        write_frame(replies, body)
        write_frame(replies, output)


def _hide_memory() -> None:
    """Keep programs, which have the same uid, from opening this process's memory or tracing it."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE, 0) failed")


def _serve(request: dict[str, Any]) -> tuple[dict[str, Any], bytes, bytes]:
    """Fork, wait for the result, kill; return the reply, the result and the captured output."""
    limits = request["limits"]
    output = os.memfd_create("output") if request["capture"] else -1
    reader, writer = os.pipe()
    started = time.monotonic()
    pid = os.fork()
    if not pid:
        run_child(request, writer, output)
    os.close(writer)
    watch = os.pidfd_open(pid)
    try:
        body, end = _wait(reader, watch, started + limits["wall_seconds"], limits)
    finally:
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


def _wait(reader: int, watch: int, deadline: float, limits: dict[str, Any]) -> tuple[bytes, str]:
    """Wait for a whole frame; return it and "", or nothing and what happened instead."""
    frame = FrameReader(limits["output_bytes"])
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return b"", f"timeout:wall limit of {limits['wall_seconds']} s"
        ready = select.select([reader, watch], [], [], min(left, _WATCH_SECONDS))[0]
        if reader in ready:
            try:
                body = frame.feed(reader)
            except FramingError as error:
                return b"", f"output:{error}" if "budget" in str(error) else "gone"
            if body is not None:
                return body, ""
        elif watch in ready:
            return b"", "gone"
        elif (count := _processes()) > limits["processes"]:
            return b"", f"crash:{count} processes and threads, allowed are {limits['processes']}"


def _processes() -> int:
    """Count the processes and threads of this sandbox, the server left out."""
    count = 0
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and process.name != "1":
            with suppress(OSError):  # it has just ended
                count += len(list((process / "task").iterdir()))
    return count


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


def _sweep() -> bool:
    """Kill and reap everything else in this pid namespace; false when something is left after five
    seconds.
    """
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            time.sleep(0.001)
        except ChildProcessError:
            return True
    return False


def _wipe(folder: Path) -> bool:
    """Empty ``folder`` down to mount points; false when something could not be removed."""
    clean, device = True, os.lstat(folder).st_dev
    for entry in folder.iterdir():
        status = entry.lstat()
        if status.st_dev != device:
            continue
        try:
            if stat.S_ISDIR(status.st_mode):
                entry.chmod(0o700)
                clean &= _wipe(entry)
                if not any(entry.iterdir()):
                    entry.rmdir()
            else:
                entry.unlink()
        except (OSError, RecursionError):  # a chain of directories longer than a path may be
            clean = False
    return clean


def _no_leftovers() -> bool:
    """Say whether no System V object outlived the call; only a new sandbox gets rid of them for
    certain.
    """
    return all(not path.exists() or path.read_text().count("\n") <= 1 for path in _SYSTEM_V)


if __name__ == "__main__":
    main()
