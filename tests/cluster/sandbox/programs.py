"""What misbehaving programs do; each function runs inside the sandbox."""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path


def echo(payload):
    return payload


def boom(_):
    raise ValueError("a stranger's words")


def leave(how):
    {"exit": sys.exit, "_exit": os._exit, "segv": lambda _: ctypes.string_at(0)}[how](3)


def spin(_):
    while True:
        pass


def spin_in_c(_):
    return sum(range(10**12))


def shrug_off_cpu_limit(_):
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    spin(None)


def sleep(seconds):
    time.sleep(seconds)


def eat(_):
    return len([0] * (1 << 30))


def talk(size):
    return "x" * size


def write(target):
    Path(target["path"]).write_bytes(b"x" * target.get("size", 1))
    return listing(None)


def read(path):
    return Path(path).read_text()


def listing(_):
    return sorted(path.name for path in Path("/tmp").iterdir())


def connect(address):
    socket.create_connection(tuple(address), timeout=2)


def open_memory(_):
    Path("/proc/1/mem").open("r+b").close()


def descriptors(_):
    return sorted(int(path.name) for path in Path("/proc/self/fd").iterdir())


def forge(body):
    os.write(3, len(body).to_bytes(8, "little") + body.encode())
    time.sleep(10)


def flood(_):
    os.write(3, (1 << 60).to_bytes(8, "little"))
    time.sleep(10)


def daemon(_):
    if os.fork() == 0:
        os.setsid()
        time.sleep(60)
        os._exit(0)
    os._exit(0)


def leave_daemon(_):
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    return "done"


def fork_bomb(_):
    while True:
        try:
            os.fork()
        except OSError:
            time.sleep(0.01)


def kill_others(_):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP):
        os.kill(1, number)
    with suppress(ProcessLookupError):  # neither pid 1 nor the caller is ever meant
        os.kill(-1, signal.SIGTERM)
    return "still here"


def cripple_server(_):
    resource.prlimit(1, resource.RLIMIT_NOFILE, (3, 3))


def processes(_):
    return sorted(int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def descendants(_):
    """Count the server's children."""
    parent = os.getppid()
    return len(Path(f"/proc/{parent}/task/{parent}/children").read_text().split())


def locked_folder(_):
    Path("/tmp/a/b").mkdir(parents=True)
    Path("/tmp/a/b/file").write_text("x")
    Path("/tmp/a").chmod(0)


def environment(_):
    return {"hash": hash("a"), "env": dict(os.environ), "flags": sys.flags.hash_randomization}


def speak(_):
    print("hello", flush=True)
    subprocess.run(["echo", "world"], check=True)


def status(_):
    return Path("/proc/self/status").read_text()


def threads(_):
    import threading

    for _i in range(100):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    time.sleep(5)


def bad_value(_):
    return {1, 2}


def surrogate(_):
    return "\ud800"


def recurse(_):
    return recurse(_)
