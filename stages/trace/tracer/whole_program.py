"""A program given as source, traced whole: ``trace_source``."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from stages.trace.tracer.engine import MakeEngine, Target
from stages.trace.tracer.recording import Recording, TraceLimits, TraceStopped
from stages.trace.tracer.source import file_lines, whole_source
from stages.trace.tracer.tracer import Tracer

if TYPE_CHECKING:  # the tracer goes along into sandboxes, where there is none
    from cluster.sandbox import Sandbox


def trace_source(
    source: str,
    entry: str = "main",
    arguments: str = "",
    limits: TraceLimits | None = None,
    *,
    engine: MakeEngine | None = None,
    sandbox: Sandbox | None = None,
) -> Recording:
    """Execute a program and trace ``entry(arguments)``, ``arguments`` being Python source.

    It runs right here, with all rights of this process, which is for programs that one trusts; with
    ``sandbox``, a `cluster.sandbox.Sandbox`, it runs there. An exception of the entry is an
    outcome. What the program raises on the way there propagates; from a sandbox, as RuntimeError.
    """
    limits = limits or TraceLimits()
    if sandbox is not None:
        return _in_sandbox(sandbox, source, entry, arguments, limits)
    shown = whole_source(source, entry)
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(source, "<program>", "exec", dont_inherit=True), names)
    call = compile(f"{entry}({arguments})", "<call>", "eval", dont_inherit=True)
    function = inspect.unwrap(names[entry])
    tracer = Tracer({function.__code__: Target(entry, function, shown)}, limits, engine=engine)
    try:
        with tracer.watching():
            eval(call, names)
    except (Exception, TraceStopped, SystemExit):  # the recording says which
        if not tracer.finished:
            raise
    if not tracer.finished:
        raise LookupError(f"{entry}({arguments}) ran no line of {entry!r}")
    recording = tracer.finished[0]
    recording.arguments = arguments
    return recording


def _in_sandbox(
    sandbox: Sandbox, source: str, entry: str, arguments: str, limits: TraceLimits
) -> Recording:
    payload = {"source": source, "entry": entry, "arguments": arguments, "limits": limits.to_json()}
    result = sandbox.call("stages.trace.worker:trace_one", payload)
    if result.outcome != "ok":
        raise RuntimeError(f"{entry}({arguments}) in the sandbox: {result.outcome}: {result.error}")
    return Recording.from_json(result.value, tuple(file_lines(source)))
