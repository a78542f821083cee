"""Running programs that nobody has vouched for.

Whatever executes crawled or generated code does it here::

    with Sandbox(preload=("stages.trace.worker",), limits=Limits(wall_seconds=5)) as box:
        result = box.call("stages.trace.worker:trace_candidate", {"module": "heapq"})
        if result.outcome == "ok":
            use(result.value)

One bubblewrap sandbox holds one Python server with the preloaded modules imported; every call runs
in a fork of it, so a call costs milliseconds. Inside there is no network, no writable file system
but a temporary directory that is wiped after each call, no capability, and nothing of the host's
but ``/usr``, the interpreter and the project's code. Results come back as length-framed JSON, never
as pickles.

    limits.py   Limits of a call and the Result it ends with
    layer.py    which containment this host offers, and the bubblewrap command line
    client.py   Sandbox: starts, feeds and recycles the server
    server.py   the server, pid 1 inside; forks, watches, sweeps
    child.py    what happens in the fork
    framing.py  the length-framed protocol between the three
"""

from cluster.sandbox.client import Sandbox, SandboxError
from cluster.sandbox.layer import Probe, SandboxUnavailable, probe
from cluster.sandbox.limits import Limits, Result

__all__ = ["Limits", "Probe", "Result", "Sandbox", "SandboxError", "SandboxUnavailable", "probe"]
