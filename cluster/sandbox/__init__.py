"""Running programs that nobody has vouched for.

Whatever executes crawled or generated code does it here::

    with Sandbox(preload=("stages.trace.worker",), limits=Limits(wall_seconds=5)) as box:
        result = box.call("stages.trace.worker:trace_one", {"source": text, "limits": {}})
        if result.outcome == "ok":
            use(result.value)

One sandbox holds one Python server with the preloaded modules imported; every call runs in a fork
of it, so a call costs milliseconds. Inside there is no network, no writable file system but a
temporary directory that is wiped after each call, no capability, and nothing of the host's but
``/usr``, the interpreter and the project's code. Results come back as length-framed JSON, never as
pickles. Which layer makes it so is chosen once per process (docs/sandbox.md); a machine that has
none refuses programs that nobody has vouched for.

    limits.py      Limits of a call and the Result it ends with
    layer.py       which layer this machine gives, and what else it offers
    view.py        what is seen inside
    commands.py    the command lines that enter the layers
    namespaces.py  the layer without bubblewrap
    cgroup.py      a limit for all processes of a sandbox together
    seccomp.py     the filter of system calls
    kernel.py      calls that Python has no function for
    client.py      Sandbox: starts, feeds and recycles the server
    server.py      the server, pid 1 inside; forks and watches
    sweep.py       what it does after each call
    child.py       what happens in the fork
    framing.py     the length-framed protocol between the three
    __main__.py    what this machine gives
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cluster.sandbox.client import Sandbox, SandboxError
    from cluster.sandbox.layer import Probe, SandboxUnavailable, probe
    from cluster.sandbox.limits import Limits, Result

__all__ = ["Limits", "Probe", "Result", "Sandbox", "SandboxError", "SandboxUnavailable", "probe"]

_FILES = {"client": ("Sandbox", "SandboxError"), "limits": ("Limits", "Result")}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for.

    The server imports this package too, and whatever it holds makes every fork of it dearer.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name!r}")
    file = next((file for file, names in _FILES.items() if name in names), "layer")
    value = globals()[name] = getattr(import_module(f"{__name__}.{file}"), name)
    return value
