"""Attacks that reach for what is outside: the network, files, other processes, the kernel."""

# ruff: noqa: PTH109, PTH208  plain calls attack soonest

import ctypes
import errno
import gc
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)


def _errno(function, *arguments):
    """Call the C library; return the name of the error, or "allowed"."""
    if getattr(_LIBC, function)(*arguments) >= 0:
        return "allowed"
    return errno.errorcode[ctypes.get_errno()]


def _tried(action, *arguments, **named):
    """Return the name of the error that an action raises, or "allowed"."""
    try:
        action(*arguments, **named)
    except OSError as error:
        return errno.errorcode.get(error.errno, type(error).__name__)
    return "allowed"


def connect_outside(_):
    return _tried(socket.create_connection, ("192.0.2.1", 80), timeout=2)


def connect_host_service(port):
    return _tried(socket.create_connection, ("127.0.0.1", port), timeout=2)


def resolve_name(_):
    return _tried(socket.getaddrinfo, "example.org", 80)


def abstract_socket(name):
    with socket.socket(socket.AF_UNIX) as handle:
        return _tried(handle.connect, "\0" + name)


def raw_sockets(_):
    return [
        _tried(socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        _tried(socket.socket, socket.AF_PACKET, socket.SOCK_RAW),
        _tried(socket.socket, socket.AF_VSOCK, socket.SOCK_STREAM),
        _tried(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW),
        _tried(socket.socket, 38, socket.SOCK_SEQPACKET),  # AF_ALG
    ]


def read_paths(paths):
    return [_tried(Path(path).read_bytes) for path in paths]


def write_paths(paths):
    return [_tried(Path(path).write_bytes, b"x") for path in paths]


def change_interpreter(_):
    """Append to a module, remove, open, replace and move it, all of it for the next program."""
    module = Path(os.__file__)
    return [
        _tried(module.open, "ab"),
        _tried(module.unlink),
        _tried(module.chmod, 0o777),
        _tried(Path("/tmp/evil").rename, module),
        _tried(module.rename, "/tmp/os.py"),
    ]


def server_through_proc(_):
    names = ("mem", "environ", "root", "cwd", "exe", "maps", "fd", "map_files", "io")
    found = {name: _tried(os.listdir, f"/proc/1/{name}") for name in ("root", "cwd", "fd")}
    found |= {name: _tried(Path(f"/proc/1/{name}").read_bytes) for name in names}
    return [name for name, outcome in found.items() if outcome == "allowed"]


def write_kernel_settings(_):
    """Write what is there already, so that a failure of the sandbox does the host no harm."""
    names = ("kernel/core_pattern", "kernel/hostname", "vm/swappiness", "net/ipv4/ip_forward")
    paths = [Path("/proc/sys", name) for name in names]
    return [_tried(path.write_text, path.read_text()) for path in paths] + [
        _tried(Path("/proc/sysrq-trigger").write_text, "h")
    ]


def trace_server(_):
    buffer = ctypes.create_string_buffer(8)
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
    process_vm = _errno("process_vm_readv", 1, vector, 1, vector, 1, 0)
    return [_errno("ptrace", 16, 1, 0, 0), _errno("ptrace", 0x4206, 1, 0, 0), process_vm]


def change_server(_):
    """Try what the kernel allows between processes of one user."""
    for action in (
        lambda: resource.prlimit(1, resource.RLIMIT_NOFILE, (64, 64)),
        lambda: os.setpriority(os.PRIO_PROCESS, 1, 19),
        lambda: os.sched_setaffinity(1, {min(os.sched_getaffinity(0))}),
    ):
        with suppress(OSError):
            action()
    return "tried"


def circumstances(_):
    """Return what a program inherits from the server."""
    limit = resource.getrlimit(resource.RLIMIT_STACK)
    affinity = sorted(os.sched_getaffinity(0))
    return [os.getpriority(os.PRIO_PROCESS, 0), affinity, limit, sorted(os.listdir("/tmp"))[1:]]


def signal_server(_):
    for number in set(signal.Signals) - {signal.SIGCHLD}:
        with suppress(OSError):
            os.kill(1, number)
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGTERM)
    return "sent"


def escape_calls(_):
    flags = 0x10000000 | 0x00020000
    return {
        "unshare": _errno("unshare", flags),
        "setns": _errno("setns", 0, 0),
        "mount": _errno("mount", b"none", b"/tmp", b"tmpfs", 0, None),
        "umount": _errno("umount2", b"/tmp", 2),
        "pivot_root": _errno("pivot_root", b"/tmp", b"/tmp"),
        "chroot": _errno("chroot", b"/tmp"),
        "clone": _errno("syscall", 56 if os.uname().machine == "x86_64" else 220, flags | 17, 0, 0),
        "setuid": "EPERM" if os.getuid() == 0 or _errno("setresuid", 0, 0, 0) != "allowed" else "",
        "mknod": _errno("mknod", b"/tmp/disk", 0o60666, os.makedev(8, 0)),
    }


def kernel_calls(numbers):
    return [_errno("syscall", number, *[0] * 6) for number in numbers]


def raise_limits(_):
    names = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_NPROC", "RLIMIT_FSIZE", "RLIMIT_NOFILE")
    return [_raised(getattr(resource, name)) for name in names]


def _raised(kind):
    try:
        resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (OSError, ValueError):
        return "refused"
    return "allowed"


def descriptors(_):
    """List what is open besides the standard streams, the result and this listing."""
    return sorted({int(name) for name in os.listdir("/proc/self/fd")} - {0, 1, 2, 3, 4})


def change_server_modules(_):
    """Poison, through gc and the frames above, everything that the next program would use."""
    import json

    json.dumps = json.JSONEncoder.encode = os.getcwd = lambda *_: "poisoned"
    frame = sys._getframe()
    while frame := frame.f_back:
        frame.f_globals["poisoned"] = True
    for thing in gc.get_objects():
        if isinstance(thing, dict) and "clean" in thing:
            thing["clean"] = "poisoned"
    sys.modules["cluster.sandbox.framing"].write_frame.__code__ = (lambda *_: 1).__code__
    os._exit(7)


def is_poisoned(_):
    import json

    above = []
    frame = sys._getframe()
    while frame := frame.f_back:
        above.append("poisoned" in frame.f_globals)
    return any(above) or json.dumps(1) != "1" or os.getcwd() == "poisoned"


def write_through_ctypes(_):
    """Overwrite the interpreter's own memory, which is this process's copy of it."""
    for thing in (1, "a", None, True):
        ctypes.memset(id(thing), 0xFF, 32)
    return str(thing)
