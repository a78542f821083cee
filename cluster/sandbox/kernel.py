"""The calls of Linux that Python has no function for, made through the C library.

Everything here raises OSError with the kernel's reason. Numbers are those of the kernel's headers
and the same on every architecture, but for the system calls that `cluster.sandbox.seccomp` lists.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

CAP_SETGID, CAP_SETUID = 6, 7
_LAST_CAPABILITY = 63

_CAPABILITY_VERSION_3 = 0x20080522


def libc(name: str, *arguments: Any) -> int:
    """Call a function of the C library that returns a negative number when it fails."""
    result: int = getattr(_LIBC, name)(*arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def syscall(name: str, number: int, *arguments: Any) -> int:
    """Call the kernel by number; ``name`` is for the error."""
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result: int = _LIBC.syscall(ctypes.c_long(number), *wide)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def prctl(option: int, value: int = 0) -> int:
    """Set or ask a property of this process."""
    return libc("prctl", option, *(ctypes.c_ulong(word) for word in (value, 0, 0, 0)))


def keep_capabilities(*kept: int) -> None:
    """Give up every capability but ``kept``, for good: a program that is executed gets none
    either.
    """
    for capability in range(_LAST_CAPABILITY + 1):
        try:
            if capability not in kept:
                prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # this kernel has fewer
            break
    set_capabilities(*kept)
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def set_capabilities(*kept: int) -> None:
    """Hold just ``kept``, which must be held already."""
    low = sum(1 << capability for capability in kept)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(low, low, 0, 0, 0, 0)  # effective, permitted, inheritable; twice
    libc("capset", header, sets)
