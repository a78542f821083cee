"""Work in forks: what an item of it does to the interpreter is gone with the fork.

The work is a generator of JSON values. A fork makes one after the other; when an item takes the
fork down, a new fork goes on after it. Nothing of what came before is lost, and no clock has a say
in what an item is.
"""

from __future__ import annotations

import fcntl
import gc
import json
import math
import os
import resource
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from cluster.sandbox.framing import FramingError, read_frame, write_json
from stages.trace.inputs.calls import Json, NotTraceable

Work = Callable[[int], Iterator[Json]]
"""Makes the items (see `item`) from the given number on. It sees what earlier forks made only
where the parent keeps it."""

_LOOK_SECONDS = 0.25
_LOOKS = 8  # at which it sleeps, one after the other
_HIGH = 200  # where the pipe is out of reach of what closes the first descriptors


@dataclass(frozen=True, slots=True)
class Harm:
    """An item that was not made: a stable word and a detail. ``final``: no other will be."""

    reason: str
    detail: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class ForkLimits:
    """What contains an item: seconds of CPU, rounded up, and of wall time. It shapes no data."""

    cpu_seconds: int
    wall_seconds: float


def item(
    method: str,
    recordings: Sequence[Json],
    tried: int,
    cpu: float,
    *,
    literal: Sequence[str] = (),
    names: Sequence[str] = (),
) -> Json:
    """Return what a fork hands over at a time.

    What a ``method`` recorded with so many inputs ``tried``, in ``cpu`` seconds; the argument
    sources that are ``literal``; the ``names`` of the functions that the inputs were meant for.
    """
    return {
        "method": method,
        "recordings": list(recordings),
        "tried": tried,
        "cpu": cpu,
        "valid": any(each["valid"] for each in recordings),
        "literal": list(literal),
        "names": list(names),
    }


def in_forks(work: Work, limits: ForkLimits, restarts: int) -> Iterator[Json | Harm]:
    """Yield the items of ``work``, and `Harm` where one took its fork along.

    After as many ``restarts`` the next harm ends it.
    """
    start = 0
    for left in range(restarts, -1, -1):
        for made in _one_fork(work, start, limits):
            start += 1
            if isinstance(made, Harm):
                yield Harm(made.reason, made.detail, made.final or not left)
                if made.final:
                    return
                break
            yield made
        else:
            return


def _one_fork(work: Work, start: int, limits: ForkLimits) -> Iterator[Json | Harm]:
    reader, writer = os.pipe()
    folder = Path("fork").absolute()
    folder.mkdir()
    gc.freeze()  # else a collection in the fork copies every page of what was imported
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _move_to(folder)
        _in_fork(work, start, limits, writer)
    os.close(writer)
    problem = ""
    try:
        while not problem:
            _wait(reader, pid, limits.wall_seconds)
            said = _checked(json.loads(read_frame(reader, seconds=limits.wall_seconds)))
            if said is None:
                return
            yield said
            if isinstance(said, Harm):
                return
    except (ValueError, RecursionError) as error:  # also what a program wrote into the pipe
        problem = str(error)
    finally:
        os.close(reader)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():  # it resists: out of the way with it
            folder.rename(tempfile.mkdtemp(dir=folder.parent))
    yield _what_happened(problem, status, limits)


def _checked(value: Any) -> Json | Harm | None:
    """Return what a fork said; ValueError when it is none of what `_in_fork` says."""
    match value:
        case None:
            return None
        case {"harm": [str(reason), str(detail), bool(final)]}:
            return Harm(reason, detail, final)
        case {
            "method": str(),
            "recordings": list(found),
            "tried": int(),
            "cpu": int() | float(),
            "valid": bool(),
            "literal": list(literal),
            "names": list(names),
        }:
            texts = all(isinstance(each, str) for each in (*literal, *names))
            if texts and all(_is_recording(each) for each in found):
                return dict(value)
    raise ValueError("the answer is forged")


def _is_recording(value: Any) -> bool:
    match value:
        case {"name": str(), "arguments": str() | None, "driver": str(), "valid": bool()}:
            return True
    return False


def _wait(reader: int, pid: int, seconds: float) -> None:
    """Wait for something to read; `FramingError` when nothing comes, or nothing ever will.

    A process that sleeps waits for input, a network or a lock that are not there.
    """
    deadline, asleep = time.monotonic() + seconds, 0
    while not select.select([reader], [], [], _LOOK_SECONDS)[0]:
        asleep = asleep + 1 if _sleeps(pid) else 0
        if asleep >= _LOOKS:
            raise FramingError("no answer: it waits for what never comes")
        if time.monotonic() > deadline:
            raise FramingError(f"no answer in {seconds} s")


def _sleeps(pid: int) -> bool:
    """Say whether every thread of a process sleeps; one that waits for its turn does not."""
    try:
        stats = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:  # a thread has just ended
        return False
    return all(stat.rpartition(")")[2].split()[0] == "S" for stat in stats)


def _what_happened(problem: str, status: int, limits: ForkLimits) -> Harm:
    if "no answer" in problem:
        return Harm("timeout", problem)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
        return Harm("timeout", f"CPU limit of {limits.cpu_seconds} s")
    return Harm("crash", f"{problem}, wait status {status}")


def _refuse(*_arguments: object, **_options: object) -> NoReturn:
    raise PermissionError("traced code starts and signals no processes")


def _in_fork(work: Work, start: int, limits: ForkLimits, writer: int) -> NoReturn:
    """Make the items and write them out; end with None or with the harm that ended it."""
    handle = fcntl.fcntl(writer, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    os.closerange(3, handle)  # above all the pipe that the whole batch is answered through
    os.closerange(handle + 1, 1 << 16)
    os.setpgid(0, 0)
    pid, leave = os.getpid(), os._exit
    _tame()
    try:
        _limit_cpu(limits)
        for made in work(start):
            if os.getpid() != pid:
                leave(0)  # a child that the program made by other means
            write_json(handle, made)
            _limit_cpu(limits)
        write_json(handle, None)
    except MemoryError:
        write_json(handle, {"harm": ["memory", "over the address space limit", False]})
    except NotTraceable as error:
        write_json(handle, {"harm": [error.reason, str(error), True]})
    except BaseException as error:  # noqa: BLE001  what the program raised late is its harm
        text = f"{type(error).__name__}: {str(error)[:200]}"
        write_json(handle, {"harm": ["error", text, False]})
    finally:
        leave(0)


def _move_to(folder: Path) -> None:
    """Work in an empty folder, which the next fork finds empty again."""
    os.chdir(folder)
    os.environ["HOME"] = os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


def _tame() -> None:
    """Take from the program what makes it wait, leaves something behind or reaches others.

    It keeps honest mistakes from costing a batch; who means harm gets around it, and is contained
    by the sandbox.
    """
    time.sleep = lambda seconds: None  # who retries without a network need not wait between
    subprocess.Popen.__init__ = _refuse  # type: ignore[method-assign]
    for name in ("fork", "forkpty", "posix_spawn", "posix_spawnp", "system", "killpg"):
        setattr(os, name, _refuse)
    kill, own = os.kill, (0, os.getpid())
    os.kill = lambda pid, number: kill(pid, number) if pid in own else _refuse()


def _limit_cpu(limits: ForkLimits) -> None:
    """Let this process use so many more seconds of CPU."""
    seconds = math.ceil(time.process_time()) + limits.cpu_seconds
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    if hard != resource.RLIM_INFINITY:
        seconds = min(seconds, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))
