"""Attacks that use something up, stay on, or lie about the result."""

# ruff: noqa: PTH102, PTH104, PTH106, PTH108, PTH123, PTH211  plain calls attack soonest

import ctypes
import json
import mmap
import os
import pickle
import resource
import signal
import struct
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_RESULT = 3


def _frame(body):
    return struct.pack("<Q", len(body)) + body


def fork_bomb(_):
    while True:
        with suppress(OSError):
            os.fork()


def fork_count(_):
    """Fork sleepers until the kernel refuses; return how many there were."""
    for count in range(500):
        try:
            if not os.fork():
                time.sleep(60)
        except OSError:
            return count
    return 500


def thread_bomb(_):
    for _i in range(500):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    return "all 500 run"


def eat_list(_):
    return len([0] * (1 << 30))


def eat_mapping(_):
    return len(mmap.mmap(-1, 4 << 30))


def eat_in_c(_):
    _LIBC.malloc.restype = ctypes.c_void_p
    blocks = 0
    while _LIBC.malloc(ctypes.c_size_t(64 << 20)):
        blocks += 1
    return blocks * 64


def eat_together(_):
    """Hold in many processes what none of them may hold alone."""
    for _i in range(6):
        if not os.fork():
            break
    held = b"x" * (100 << 20)
    time.sleep(30)
    return len(held)


def eat_anonymous_files(_):
    handles = []
    while True:
        handles.append(os.memfd_create("hidden"))
        os.write(handles[-1], b"x" * (1 << 20))


def eat_scratch(_):
    written = 0
    with suppress(OSError):
        for number in range(4000):
            Path(f"/tmp/file{number}").write_bytes(b"x" * (1 << 20))
            written += 1
    return written


def eat_inodes(_):
    for number in range(10**8):
        os.close(os.open(f"/tmp/{number}", os.O_CREAT | os.O_WRONLY))


def sparse_file(_):
    with open("/tmp/sparse", "wb") as file:
        file.truncate(1 << 50)


def flood_stdout(_):
    while True:
        os.write(1, b"y" * (1 << 16))


def flood_result(_):
    while True:
        os.write(_RESULT, b"\xff" * (1 << 16))


def leave_files(_):
    Path("/tmp/mine").write_text("a secret for the next")
    Path("/tmp/link").symlink_to("/usr")
    Path("/tmp/loop").symlink_to("loop")
    Path(".hidden").mkdir()
    os.mkfifo("/tmp/fifo")
    return _tried_write("/dev/shm/mine")


def _tried_write(path):
    try:
        Path(path).write_text("x")
    except OSError:
        return "refused"
    return "allowed"


def leftovers(_):
    own = Path.cwd().name
    names = {path.name for path in Path("/tmp").iterdir() if not path.is_mount()}
    return sorted(name for name in names - {own} if not _leads_to_mount(Path("/tmp", name)))


def _leads_to_mount(path):
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return any(line.split()[4].startswith(f"{path}/") for line in lines)


def leave_ipc(_):
    """Make System V memory and a POSIX queue, which outlive a process."""
    memory = _LIBC.shmget(1234, 4096, 0o1666)
    queue = _LIBC.mq_open(b"/left", os.O_CREAT | os.O_RDWR, 0o600, None)
    return [memory >= 0, queue >= 0]


def deep_folders(_):
    for _i in range(3000):
        os.mkdir("d")
        os.chdir("d")
    return "deep"


def locked_folders(_):
    for name in ("a", "a/b", "a/b/c"):
        Path("/tmp", name).mkdir()
    Path("/tmp/a/b/c/file").write_text("x")
    for name in ("a/b/c", "a/b", "a"):
        Path("/tmp", name).chmod(0)
    return "locked"


def swap_folders(_):
    """Swap a directory for a link to elsewhere, ceaselessly, also while the server cleans up."""
    Path("/tmp/target").mkdir()
    if not os.fork():
        os.setsid()
        while True:
            with suppress(OSError):
                os.mkdir("/tmp/swap")
                os.rename("/tmp/swap", "/tmp/other")
                os.symlink("/usr", "/tmp/swap")
                os.unlink("/tmp/swap")
                os.rmdir("/tmp/other")
    return "left it running"


def close_scratch(_):
    with suppress(OSError):
        Path("/tmp").chmod(0)
    return "closed"


def replace_home(_):
    home = Path.cwd()
    os.chdir("/tmp")
    home.rename("/tmp/elsewhere")
    home.symlink_to("/usr/lib")
    return "replaced"


def daemon_holds_pipe(_):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            time.sleep(60)
        os._exit(0)
    os._exit(0)


def processes(_):
    return len([path for path in Path("/proc").iterdir() if path.name.isdigit()])


def exit_at_once(_):
    os._exit(0)


def segfault(_):
    ctypes.string_at(0)


def abort(_):
    os.abort()


def stop_itself(_):
    os.kill(os.getpid(), signal.SIGSTOP)


def block_signals(_):
    signal.pthread_sigmask(signal.SIG_SETMASK, set(signal.Signals))
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    while True:
        pass


def spin_in_c(_):
    return sum(range(10**12))


def match_for_ever(_):
    import re

    return re.match(r"(a+)+$", "a" * 64 + "b")


def forge(body):
    os.write(_RESULT, _frame(body.encode("latin-1")))
    time.sleep(30)


def forge_length(length):
    os.write(_RESULT, struct.pack("<Q", length) + b"x" * 100)
    time.sleep(30)


def forge_half(_):
    os.write(_RESULT, b"\x10\0\0")
    os._exit(0)


def forge_then_more(_):
    """A whole frame, then another, then a third: as if the server had answered more calls."""
    os.write(_RESULT, _frame(b'{"ok": "forged"}') * 3)
    os.write(_RESULT, _frame(json.dumps({"end": "", "cpu": 0, "wall": 0}).encode()) * 3)
    time.sleep(30)


class _Bomb:
    def __reduce__(self):
        return os.system, ("touch /tmp/unpickled",)


def pickle_result(_):
    os.write(_RESULT, _frame(pickle.dumps(_Bomb())))
    time.sleep(30)


def return_object(_):
    return _Bomb()


def json_bomb(kind):
    return {
        "deep": lambda: _nested(100_000),
        "nan": lambda: float("nan"),
        "huge": lambda: 10**5000,
    }[kind]()


def _nested(depth):
    value = []
    for _i in range(depth):
        value = [value]
    return value


class _DescribedError(Exception):
    def __init__(self, how):
        super().__init__()
        self.how = how

    def __str__(self):
        return {"hang": _sleep, "raise": _raise, "huge": _huge, "exit": sys.exit}[self.how]()

    __repr__ = __str__


def _sleep():
    time.sleep(60)


def _raise():
    raise ValueError("no description")


def _huge():
    return "x" * (64 << 20)


def describe(how):
    raise _DescribedError(how)


def recurse(_):
    return recurse(_)


def recurse_in_c(_):
    sys.setrecursionlimit(10**9)
    value = ()
    for _i in range(10**6):
        value = (value,)
    return repr(value)


def hold_result_open(_):
    """Answer, and go on as if there were no end."""
    os.write(_RESULT, _frame(b'{"ok": "answered"}'))
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(1)


def set_limits_to_nothing(_):
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    return "done"
