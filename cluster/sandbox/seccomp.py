"""A filter of system calls, as a program for the kernel's packet filter.

The server loads it into itself before the first call; every program inherits it and nothing takes
it off. It forbids what no honest program of ours needs and what has let others out before: other
processes' memory, namespaces and mounts, the kernel's own interpreters and keys, sockets of
families that no network namespace holds back, and memory that no limit of a process counts.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Sequence

from cluster.sandbox.kernel import PR_SET_NO_NEW_PRIVS, prctl, syscall

_AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_COLUMN = {"x86_64": 0, "aarch64": 1}
_SECCOMP = (317, 277)
_SET_MODE_FILTER, _GET_ACTION_AVAILABLE = 1, 2
_X32 = 0x40000000
_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""
_FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6: those that the network namespace holds

_CLONE, _SOCKET, _SOCKETPAIR = (56, 220), (41, 198), (53, 199)

_NOT_ALLOWED: dict[str, tuple[int, int]] = {
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    # namespaces and mounts
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    # parts of the kernel with a record
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # the machine
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
}
_NOT_THERE: dict[str, tuple[int, int]] = {
    "clone3": (435, 435),  # its flags lie in memory, where a filter cannot look; clone is used then
    # memory and messages that outlive the program or that its limits do not count
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
}
_X86_ONLY = {"iopl": 172, "ioperm": 173, "modify_ldt": 154}

FORBIDDEN = (*_NOT_ALLOWED, *_NOT_THERE, *_X86_ONLY)
"""The names of the system calls that always fail; ``clone`` and ``socket`` do by argument."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data


def unavailable() -> str:
    """Return why this machine has no filter, or "" when it has."""
    machine = os.uname().machine
    if machine not in _COLUMN:
        return f"there is no list of system calls for {machine}"
    action = ctypes.c_uint32(_ERRNO)
    try:
        number = _SECCOMP[_COLUMN[machine]]
        syscall("seccomp", number, _GET_ACTION_AVAILABLE, 0, ctypes.byref(action))
    except OSError as error:
        return str(error)
    return ""


def load() -> None:
    """Load the filter into this process, for good. Raises OSError with the kernel's reason."""
    machine = os.uname().machine
    program = ctypes.create_string_buffer(filter_program(machine))
    header = ctypes.create_string_buffer(
        struct.pack("@HP", (len(program) - 1) // 8, ctypes.addressof(program))
    )
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    syscall("seccomp", _SECCOMP[_COLUMN[machine]], _SET_MODE_FILTER, 0, header)


def filter_program(machine: str) -> bytes:
    """Return the filter for an architecture: eight bytes for each instruction."""
    column = _COLUMN[machine]
    program = _load(_ARCHITECTURE) + _unless_equal(_AUDIT_ARCHITECTURE[machine], errno.ENOSYS)
    program += _load(_NUMBER)
    if machine == "x86_64":
        program += _step(_AT_LEAST, _X32, 0, 1) + _fail(errno.ENOSYS)
    refused = {numbers[column]: errno.EPERM for numbers in _NOT_ALLOWED.values()}
    refused |= {numbers[column]: errno.ENOSYS for numbers in _NOT_THERE.values()}
    if machine == "x86_64":
        refused |= dict.fromkeys(_X86_ONLY.values(), errno.EPERM)
    for number, code in refused.items():
        program += _step(_EQUAL, number, 0, 1) + _fail(code)
    flags = _load(_FIRST_ARGUMENT) + _step(_ANY_BIT, _NAMESPACES, 0, 1) + _fail(errno.EPERM)
    program += _when(_CLONE[column], flags + _allow())
    family = _load(_FIRST_ARGUMENT) + _one_of(_FAMILIES) + _fail(errno.EAFNOSUPPORT)
    for numbers in (_SOCKET, _SOCKETPAIR):
        program += _when(numbers[column], family)
    return program + _allow()


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _load(offset: int) -> bytes:
    return _step(_LOAD, offset)


def _allow() -> bytes:
    return _step(_RETURN, _ALLOW)


def _fail(code: int) -> bytes:
    return _step(_RETURN, _ERRNO | code)


def _unless_equal(value: int, code: int) -> bytes:
    return _step(_EQUAL, value, 1, 0) + _fail(code)


def _when(number: int, body: bytes) -> bytes:
    """Run ``body``, which must return, for this system call; else go on behind it."""
    return _step(_EQUAL, number, 0, len(body) // 8) + body


def _one_of(values: Sequence[int]) -> bytes:
    """Return from the filter with leave when the loaded word is one of these."""
    return b"".join(_step(_EQUAL, value, 0, 1) + _allow() for value in values)
