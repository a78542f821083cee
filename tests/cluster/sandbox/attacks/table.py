"""What is attacked and how it must end, in every layer that hides the machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.sandbox import Result

REACH, EXHAUST = "tests.cluster.sandbox.attacks.reach", "tests.cluster.sandbox.attacks.exhaust"
Check = Callable[[Result], bool]


@dataclass(frozen=True, kw_only=True)
class Attack:
    """A program, how it must end, and what may be left of the server afterwards."""

    target: str
    payload: Any = None
    outcomes: tuple[str, ...] = ("ok",)
    check: Check = lambda result: True
    said: str = ""
    replaced: bool = False
    """The server may be replaced; else it must be the same one as before."""
    capture: bool = False

    @property
    def name(self) -> str:
        """For the list of tests."""
        payload = "" if self.payload is None else f"-{str(self.payload)[:16]}"
        return self.target.rpartition(":")[2] + payload


def _reach(name: str, check: Check, payload: Any = None, **more: Any) -> Attack:
    return Attack(target=f"{REACH}:{name}", payload=payload, check=check, **more)


def _ends(name: str, *outcomes: str, payload: Any = None, **more: Any) -> Attack:
    return Attack(target=f"{EXHAUST}:{name}", payload=payload, outcomes=outcomes, **more)


def _value(*values: Any) -> Check:
    return lambda result: result.value in values


def _each(*values: Any) -> Check:
    return lambda result: all(value in values for value in result.value)


_GONE = ("ENOENT", "ENOTDIR", "EACCES", "EPERM")
_CLOSED = (*_GONE, "EROFS", "EISDIR", "EXDEV", "EBUSY", "ETXTBSY", "EIO", "EINVAL")
_HERE = str(Path(__file__).resolve())
_SECRETS = [
    "/etc/shadow",
    "/etc/passwd",
    "/etc/hostname",
    str(Path.home() / ".bashrc"),
    "/var/lib/dpkg/status",
    "/sys/class/net",
    "/dev/mem",
    "/dev/sda",
    "/proc/kcore",
    str(Path(_HERE).parents[4] / "pyproject.toml"),
    str(Path(_HERE).parents[4] / ".git/config"),
    "/../../etc/shadow",
]
_PLACES = ["/x", "/usr/x", "/usr/bin/python3", "/etc/x", "/dev/x", "/dev/shm/x", "/proc/x", _HERE]
_X86 = os.uname().machine == "x86_64"
_KERNEL = (321, 323, 298, 250, 248, 425, 246, 175, 169) if _X86 else (280, 282, 241, 219, 217, 425)

ATTACKS = (
    # the network
    _reach("connect_outside", _value("ENETUNREACH")),
    _reach("resolve_name", lambda result: result.value != "allowed"),
    _reach(
        "raw_sockets",
        lambda result: result.value[0] == "EPERM" and set(result.value[1:]) == {"EAFNOSUPPORT"},
    ),
    # files
    _reach("read_paths", _each(*_GONE), _SECRETS),
    _reach("write_paths", _each(*_CLOSED), _PLACES),
    _reach("change_interpreter", _each(*_CLOSED)),
    _reach("write_kernel_settings", _each(*_CLOSED)),
    # the server and its process
    _reach("server_through_proc", _value([])),
    _reach("trace_server", _each("EPERM", "ESRCH", "EACCES")),
    _reach("change_server", _value("tried"), replaced=True),
    _reach("signal_server", _value("sent")),
    _reach("descriptors", _value([])),
    _reach("change_server_modules", lambda result: True, outcomes=("crash",), said="status 7"),
    _reach("write_through_ctypes", lambda result: True, outcomes=("ok", "crash", "timeout")),
    # the kernel
    _reach("escape_calls", lambda result: set(result.value.values()) == {"EPERM"}),
    _reach("kernel_calls", _each("EPERM"), _KERNEL),
    _reach("raise_limits", _each("refused")),
    # processes
    _ends("fork_bomb", "crash", "timeout", "memory"),
    _ends(
        "fork_count", "ok", "crash", check=lambda result: result.value is None or result.value < 64
    ),
    _ends("thread_bomb", "error", "crash"),
    _ends("daemon_holds_pipe", "crash", said="status 0"),
    _ends("stop_itself", "timeout"),
    # memory and files
    _ends("eat_list", "memory"),
    _ends("eat_mapping", "memory", "error"),
    _ends("eat_in_c", "ok", check=lambda result: result.value <= 256),
    _ends("eat_together", "memory", "crash", replaced=True),
    _ends("eat_anonymous_files", "error", said="Function not implemented"),
    _ends("eat_scratch", "ok", "output", check=lambda r: r.value is None or r.value <= 256),
    _ends("eat_inodes", "output", "error", "timeout"),
    _ends("sparse_file", "output"),
    _ends("flood_stdout", "output", "timeout", "error", capture=True),
    _ends("flood_stdout", "timeout"),
    _ends("flood_result", "output"),
    # what stays
    _ends("leave_files", "ok", check=_value("refused")),
    _ends("leave_ipc", "ok", check=_value([False, False])),
    _ends("deep_folders", "ok", replaced=True),
    _ends("locked_folders", "ok"),
    _ends("swap_folders", "ok"),
    _ends("close_scratch", "ok", replaced=True),
    _ends("replace_home", "ok"),
    # ends
    _ends("exit_at_once", "crash", said="status 0"),
    _ends("segfault", "crash", said="SIGSEGV"),
    _ends("abort", "crash", said="SIGABRT"),
    _ends("block_signals", "timeout"),
    _ends("spin_in_c", "timeout"),
    _ends("match_for_ever", "timeout"),
    _ends("recurse", "error"),
    _ends("recurse_in_c", "error", "crash", "memory", "timeout"),
    _ends("set_limits_to_nothing", "ok"),
    # results
    _ends("forge", "ok", payload='{"ok": "mine"}', check=_value("mine")),
    _ends("forge", "crash", payload="no JSON"),
    _ends("forge", "crash", payload="\xff\xfe"),
    _ends("forge", "crash", payload="[" * 100_000),
    _ends("forge", "crash", payload='{"ok": ' + "9" * 5000 + "}"),
    _ends("forge", "crash", payload='{"ok": NaN}'),
    _ends("forge", "crash", payload='{"failure": ["timeout", 1]}'),
    _ends("forge", "crash", payload='{"failure": [{}, []]}'),
    _ends("forge", "crash", payload="null"),
    _ends("forge_length", "output", payload=(1 << 64) - 1),
    _ends("forge_length", "timeout", payload=1000),
    _ends("forge_half", "crash"),
    _ends("forge_then_more", "ok", check=_value("forged")),
    _ends("hold_result_open", "ok", check=_value("answered")),
    _ends("pickle_result", "crash"),
    _ends("return_object", "error"),
    _ends("json_bomb", "error", payload="deep"),
    _ends("json_bomb", "error", payload="nan"),
    _ends("json_bomb", "error", payload="huge"),
    _ends("describe", "timeout", payload="hang"),
    _ends("describe", "error", payload="raise"),
    _ends("describe", "error", "memory", payload="huge"),
    _ends("describe", "error", "crash", payload="exit"),
)
