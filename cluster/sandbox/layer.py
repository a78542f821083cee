"""Which containment this machine offers: layers from the best down, chosen once per process.

``bwrap`` and ``unshare`` hide the machine from a program; ``rlimit-only`` bounds what it uses and
hides nothing, so it takes only trusted programs unless someone asked for more.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from cluster.sandbox import seccomp
from cluster.sandbox.cgroup import ControlGroup
from cluster.sandbox.commands import bwrap_command, namespaces_command
from cluster.sandbox.view import ENVIRONMENT, View, interpreter_paths, package_paths, view

log = logging.getLogger(__name__)

Layer = Literal["bwrap", "unshare", "rlimit-only"]
Trust = Literal["untrusted", "trusted"]
"""Whether a program's author is vouched for: our generator and the standard library are."""

ROOT = Path(__file__).resolve().parents[2]
ALLOW = "CWM_ALLOW_UNSANDBOXED"
"""Set to 1, this variable lets untrusted programs run without a layer that contains them."""
INSTALL = "apt-get install bubblewrap"
_ALLOW_NAMESPACES = "allow user namespaces or run as root: docs/sandbox.md says how"
_FIRST_USER, _USERS = 0x7000_0000, 1 << 27  # numbers that no system gives to anybody


class SandboxUnavailable(RuntimeError):  # noqa: N818  it names a state of the host
    """This host cannot contain untrusted code; says why and what to type."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """A layer that this machine does not give, why not, and what to do about it."""

    layer: Layer
    reason: str
    remedy: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """What this machine gives. The last three say why a part is missing, "" when it is there."""

    layer: Layer
    missing: tuple[Missing, ...] = ()
    """The better layers, best first."""
    own_user: str = ""
    """Programs run as a user of their own, whom the kernel's limit on processes binds."""
    seccomp: str = ""
    """A filter of system calls."""
    control_group: str = ""
    """A limit on the memory and the processes of a whole sandbox."""

    @property
    def contains(self) -> bool:
        """Whether untrusted programs may run here."""
        return self.layer != "rlimit-only"


@cache
def probe() -> Probe:
    """Try the layers of this machine by running ``true`` in them; asked once per process."""
    missing: list[Missing] = []
    for layer in ("bwrap", "unshare"):
        found = probe_layer(layer)
        if isinstance(found, Probe):
            return _logged(found, missing)
        missing.append(found)
    return _logged(probe_layer("rlimit-only"), missing)


@cache
def probe_layer(layer: Layer) -> Probe | Missing:
    """Try one layer."""
    offer = Probe(layer=layer, seccomp=seccomp.unavailable(), control_group=_no_control_group())
    if layer == "rlimit-only":
        return replace(offer, own_user="it needs one of the other layers")
    if layer == "bwrap" and shutil.which("bwrap") is None:
        return Missing(layer=layer, reason="bubblewrap is not installed", remedy=INSTALL)
    no_user = ""  # elsewhere the caller is a user already, alone in the user namespace
    if os.geteuid() == 0:
        no_user = _no_numbers() or _fails(layer, change_user=True)
        if not no_user:
            return offer
    reason = _fails(layer, change_user=False)
    if reason:
        return Missing(layer=layer, reason=reason, remedy=_ALLOW_NAMESPACES)
    return replace(offer, own_user=no_user)


def choose_layer(trust: Trust = "untrusted", layer: Layer | None = None) -> Probe:
    """Return the best layer, or the one asked for, that may run programs of this trust.

    Raises `SandboxUnavailable` when there is none.
    """
    found = probe() if layer is None else probe_layer(layer)
    if isinstance(found, Missing):
        raise SandboxUnavailable(f"the layer {layer} is missing: {found.reason}. {found.remedy}")
    if found.contains or trust == "trusted":
        return found
    if os.environ.get(ALLOW) == "1":
        _warn_once(found.layer)
        return found
    raise SandboxUnavailable(refusal(found))


def refusal(found: Probe) -> str:
    """Say which layers are missing, what would bring them, and how to go without."""
    lines = [
        f"untrusted code cannot be contained on {os.uname().nodename} ({found.layer}: limits, but"
        " neither files nor the network are hidden).",
        *(f"Missing {m.layer}: {m.reason}. To do: {m.remedy}." for m in found.missing),
        "To run it all the same, on a machine that you can lose: --allow-unsandboxed or"
        f" {ALLOW}=1.",
    ]
    return "\n".join(lines)


def fresh_user() -> int:
    """Return the number of a user that nobody else has, so that its processes are one program's."""
    return _FIRST_USER + secrets.randbelow(_USERS)


def enter_command(
    layer: Layer, seen: View, environment: dict[str, str], *, change_user: bool
) -> tuple[list[str], dict[str, str]]:
    """Return what comes before the program in its command line, and the command's environment."""
    if layer == "bwrap":
        return bwrap_command(seen, environment, change_user=change_user), dict(os.environ)
    if layer == "unshare":
        return namespaces_command(seen, environment, sys.executable, change_user=change_user)
    return [], environment


def _fails(layer: Layer, *, change_user: bool) -> str:
    """Run ``true`` in a layer; return what it says when it fails, else ""."""
    seen = view([*interpreter_paths(), *package_paths(ROOT)])
    command, environment = enter_command(layer, seen, ENVIRONMENT, change_user=change_user)
    return _said([*command, "/usr/bin/true"], environment)


def _said(command: Sequence[str], environment: dict[str, str]) -> str:
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    return run.stderr.strip() or f"exit status {run.returncode}" if run.returncode else ""


def _no_numbers() -> str:
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        first, _, count = map(int, line.split())
        if first <= _FIRST_USER and first + count >= _FIRST_USER + _USERS:
            return ""
    return "too few user numbers are mapped into this container"


def _no_control_group() -> str:
    try:
        ControlGroup().remove()
    except OSError as error:
        return str(error)
    return ""


def _logged(found: Probe | Missing, missing: Sequence[Missing]) -> Probe:
    assert isinstance(found, Probe)
    better = "".join(f"; no {m.layer}: {m.reason}" for m in missing)
    level = logging.INFO if found.contains else logging.WARNING
    log.log(level, "sandbox layer: %s%s", found.layer, better)
    return replace(found, missing=tuple(missing))


@cache
def _warn_once(layer: Layer) -> None:
    log.warning("%s=1: untrusted code runs in the layer %s, which hides nothing", ALLOW, layer)
