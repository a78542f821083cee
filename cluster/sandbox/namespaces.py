"""The second layer: the same namespaces and the same view of files without bubblewrap.

Run as ``python -m cluster.sandbox.namespaces VIEW PROGRAM ARGUMENT...`` it goes into new
namespaces, mounts the view, gives up its capabilities and becomes the program, as process 1.
Needs Linux 5.12 (``mount_setattr``) and either user namespaces or root.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import stat
import struct
import sys
from pathlib import Path

from cluster.sandbox import kernel
from cluster.sandbox.view import SCRATCH, SCRATCH_BYTES, SCRATCH_FILES, WRITABLE_BY_ROOT, View

_NEW_MOUNT, _NEW_USER = 0x00020000, 0x10000000
_NEW_OTHERS = 0x02000000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000
"""CLONE_NEWCGROUP, NEWUTS, NEWIPC, NEWPID and NEWNET."""

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_BIND = 1, 2, 4, 8, 32, 4096
_MS_REC, _MS_PRIVATE, _MNT_DETACH = 1 << 14, 1 << 18, 2
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_HERE, _EMPTY_PATH, _RECURSIVE, _CLONE = -100, 0x1000, 0x8000, 1
_MOVE_EMPTY_PATH = 4
_SET_INTERFACE_FLAGS, _UP = 0x8914, 0x1

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "core": "/proc/kcore",
    "ptmx": "pts/ptmx",
}


def main() -> None:
    """Enter, then become the program; what the kernel refuses is said in one line."""
    given = json.loads(sys.argv[1])
    view = View(shown=tuple(given["shown"]), links=tuple(map(tuple, given["links"])))
    program = sys.argv[2:]
    try:
        _enter(new_user=not given["change_user"])
        _mount_view(view)
        _bring_loopback_up()
        kept = (kernel.CAP_SETUID, kernel.CAP_SETGID) if given["change_user"] else ()
        kernel.keep_capabilities(*kept)
        os.execve(program[0], program, given["environment"])
    except OSError as error:
        sys.exit(f"namespaces: {error}")


def _enter(*, new_user: bool) -> None:
    """Go on as process 1 of new namespaces; the process that began waits and ends like it."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    user, group = os.geteuid(), os.getegid()
    kernel.libc("unshare", _NEW_MOUNT | _NEW_OTHERS | (_NEW_USER if new_user else 0))
    if new_user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    child = os.fork()
    if child:
        os.closerange(0, 2)  # the program's pipes end with the program
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()


def _mount_view(view: View) -> None:
    """Make a root in memory with the view in it, and let go of the old one."""
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    trees = {path: _tree(path, nodev=True) for path in view.shown}
    devices = {
        name: _tree(f"/dev/{name}", nodev=False) for name in _DEVICES if Path("/dev", name).exists()
    }
    root = _MS_NOSUID | _MS_NODEV
    _mount("tmpfs", SCRATCH, "tmpfs", root, "mode=755,size=1m")
    os.chdir(SCRATCH)
    os.umask(0o022)
    for name in ("proc", "dev", "dev/pts", "dev/shm", SCRATCH[1:]):
        Path(name).mkdir()
    _mount("proc", "proc", "proc", root | _MS_NOEXEC)
    for name in WRITABLE_BY_ROOT:
        if Path("proc", name).exists():
            _attach(_tree(f"proc/{name}", nodev=True), f"proc/{name}")
    _mount("devpts", "dev/pts", "devpts", _MS_NOSUID | _MS_NOEXEC, "newinstance,ptmxmode=0666")
    for name, tree in devices.items():
        Path("dev", name).touch()
        _attach(tree, f"dev/{name}")
    for name, target in _DEVICE_LINKS.items():
        Path("dev", name).symlink_to(target)
    options = f"mode=755,size={SCRATCH_BYTES},nr_inodes={SCRATCH_FILES}"
    _mount("tmpfs", SCRATCH[1:], "tmpfs", root, options)
    for folder in view.folders:
        Path(folder[1:]).mkdir(exist_ok=True)
    for path, tree in trees.items():
        place = Path(path[1:])
        place.mkdir(exist_ok=True) if stat.S_ISDIR(os.fstat(tree).st_mode) else place.touch()
        _attach(tree, str(place))
    for path, target in view.links:
        Path(path[1:]).symlink_to(target)
    kernel.libc("pivot_root", b".", b".")
    kernel.libc("umount2", b".", _MNT_DETACH)
    _mount("none", "/", None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | root)
    os.chdir(SCRATCH)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    name = kind.encode() if kind else None
    number = ctypes.c_ulong(flags)
    kernel.libc("mount", source.encode(), target.encode(), name, number, options.encode())


def _tree(path: str, *, nodev: bool) -> int:
    """Return a handle on a read-only copy of the mounts at ``path``, attached nowhere."""
    what = path.encode()
    flags = _CLONE | _RECURSIVE | os.O_CLOEXEC
    handle = kernel.syscall(f"open_tree {path}", _OPEN_TREE, _HERE, what, flags)
    wanted = _MS_RDONLY | _MS_NOSUID | (_MS_NODEV if nodev else 0)  # the same bits as MOUNT_ATTR_*
    attributes = struct.pack("@QQQQ", wanted, 0, 0, 0)
    where = (handle, b"", _EMPTY_PATH | _RECURSIVE)
    kernel.syscall(f"mount_setattr {path}", _MOUNT_SETATTR, *where, attributes, len(attributes))
    return handle


def _attach(tree: int, place: str) -> None:
    where = (_HERE, place.encode(), _MOVE_EMPTY_PATH)
    kernel.syscall(f"move_mount {place}", _MOVE_MOUNT, tree, b"", *where)
    os.close(tree)


def _bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, _SET_INTERFACE_FLAGS, struct.pack("@16sh22x", b"lo", _UP))


if __name__ == "__main__":
    main()
