"""What happens in the forked child: let go of the server's things, take on limits, call.

The child shares its memory image with the server, so nothing in the server is secret. It holds one
descriptor of ours, the pipe for its own result. Every page that it touches is copied, which is most
of what a call costs: so it does little itself.
"""

from __future__ import annotations

import gc
import json
import math
import os
import resource
import signal
import sys
import traceback
from importlib import import_module
from typing import Any, NoReturn

from cluster.sandbox import kernel
from cluster.sandbox.framing import write_frame

_OPEN_FILES = 256
_STRICT = json.JSONEncoder(allow_nan=False)


def run_child(request: dict[str, Any], result_handle: int, output_handle: int) -> NoReturn:
    """Run ``request`` in this fresh fork, write the result as one frame and exit."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    handle = _keep_only(result_handle, output_handle)
    if os.getppid() != 1:  # else the kernel ends all with process 1
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    home = request["home"]
    os.mkdir(home, 0o700)  # noqa: PTH102  a Path would be made in pages of its own
    os.chdir(home)
    os.environ["TMPDIR"] = os.environ["HOME"] = home
    _limit(request["limits"], request["mapped_bytes"])
    gc.enable()
    write_frame(handle, _call(request["target"], request["payload"]))
    os._exit(0)


def _keep_only(result_handle: int, output_handle: int) -> int:
    """Close every descriptor but 3, the result pipe, and 0 to 2, which lead nowhere or to a
    file.
    """
    null = os.open(os.devnull, os.O_RDWR)
    result = os.dup2(result_handle, 1000, inheritable=False)
    os.dup2(null, 0)
    for stream in (1, 2):
        os.dup2(output_handle if output_handle >= 0 else null, stream)
    os.dup2(result, 3, inheritable=False)
    os.closerange(4, 1 << 16)
    return 3


def _limit(limits: dict[str, Any], mapped_bytes: int) -> None:
    """Take on the kernel's limits; the server counts processes too, for NPROC binds no root."""
    processes = limits["processes"] + 1  # the server is the same user
    seconds = math.ceil(limits["cpu_seconds"])
    space = mapped_bytes + limits["memory_bytes"]
    for kind, soft, hard in (
        (resource.RLIMIT_CPU, seconds, seconds + 1),
        (resource.RLIMIT_AS, space, space),
        (resource.RLIMIT_FSIZE, limits["output_bytes"], limits["output_bytes"]),
        (resource.RLIMIT_NOFILE, _OPEN_FILES, _OPEN_FILES),
        (resource.RLIMIT_NPROC, processes, processes),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
    ):
        resource.setrlimit(kind, (soft, hard))


def _call(target: str, payload: Any) -> bytes:
    """Call ``module:function``; return the JSON of ``{"ok": value}`` or of the failure."""
    try:
        module, _, name = target.partition(":")
        function = getattr(sys.modules.get(module) or import_module(module), name)
        return b'{"ok":' + _STRICT.encode(function(payload)).encode() + b"}"
    except MemoryError:
        failure = ["memory", "MemoryError: over the address space limit"]
    except BaseException as error:  # noqa: BLE001  SystemExit too is its result
        kind = "output" if isinstance(error, OSError) and error.errno == 27 else "error"  # EFBIG
        failure = [kind, _describe(error)]
    return json.dumps({"failure": failure}).encode()


def _describe(error: BaseException) -> str:
    """Say the exception and its innermost lines; its own ``__str__`` may fail."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 200)  # an exhausted stack still gets its description
    try:
        return "".join(traceback.format_exception(error, limit=-8))[-4000:]
    except Exception:  # noqa: BLE001  code of the program runs here
        return f"{type(error).__name__} (it cannot be described)"
