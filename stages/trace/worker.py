"""What runs inside the sandbox: tracing in batches, one fork for each function.

A batch shares the imports of its functions' modules; each function runs in a fork of its own, so
that one that never returns or tears the interpreter down takes only itself along.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from cluster.sandbox.framing import FramingError, read_frame, write_json
from stages.trace.inputs.doctests import NotTraceable, trace_calls, trace_doctests
from stages.trace.inputs.mutate import mutations
from stages.trace.programs import generate, within_bounds
from stages.trace.tracer.alarm import alarm
from stages.trace.tracer.source import ShownSource
from stages.trace.tracer.tracer import TraceLimits, trace_source

_IMPORT_SECONDS = 60

Json = dict[str, Any]


def trace_programs(payload: Mapping[str, Any]) -> list[Json]:
    """Generate and trace programs ``start`` to ``stop`` of a level; those out of bounds are left
    out.
    """
    limits = TraceLimits(**payload["limits"])
    found = []
    for index in range(payload["start"], payload["stop"]):
        program = generate(payload["seed"], payload["level"], index)
        recording = trace_source(program.source, program.entry, program.arguments, limits)
        if recording.outcome == "return" and within_bounds(recording.frames):
            found.append({**recording.to_json(), "program": program.name, "source": program.source})
    return found


def trace_functions(payload: Mapping[str, Any]) -> list[Json]:
    """Trace the doctests of a batch of functions, and mutations of their literal calls.

    Returns for each function ``{"recordings": [...], "dropped": [[reason, detail], ...]}``. A
    recording's ``method`` says how its input was got, its ``digest`` is over all the rest; with
    ``digests_only`` the recordings are just these digests.
    """
    made = [_Job(function, payload).run() for function in payload["functions"]]
    for outcome in made:
        for recording in outcome["recordings"]:
            text = json.dumps(recording, sort_keys=True)
            recording["digest"] = hashlib.sha256(text.encode()).hexdigest()
        if payload.get("digests_only"):
            outcome["recordings"] = [recording["digest"] for recording in outcome["recordings"]]
    return made


class _Job:
    """One function of a batch."""

    def __init__(self, function: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
        self.module, self.name = function["module"], function["function"]
        self.document = function["document"]
        self.shown = ShownSource.from_json(function["shown"])
        self.payload = payload
        self.limits = TraceLimits(**payload["limits"])
        self.dropped: list[tuple[str, str]] = []

    def run(self) -> Json:
        recordings: list[Json] | None = None
        try:
            module = _imported(self.module)
            _check_text(module, self.document)
            recordings = self._once(lambda: self._trace(module, mutate=True), "with mutations")
            if recordings is None and self.dropped[-1][0] != "not-traceable":
                recordings = self._once(lambda: self._trace(module, mutate=False), "doctest")
        except _ImportError as error:
            self.dropped.append(("import-failed", str(error)))
        return {"recordings": recordings or [], "dropped": self.dropped}

    def _trace(self, module: ModuleType, *, mutate: bool) -> list[Json]:
        """Trace the doctest and, with ``mutate``, calls near the literal ones; runs in a fork."""
        found = trace_doctests(module, self.name, self.shown, self.limits, self.payload["calls"])
        rows = [{**each.to_json(), "method": "doctest"} for each in found]
        known = sorted({each.arguments for each in found if each.arguments})
        seed = f"{self.payload['seed']}:{self.module}:{self.name}"
        changed = {
            each: None
            for arguments in (known if mutate else [])
            for each in mutations(arguments, self.payload["mutations"], seed)
            if each not in known
        }
        more = trace_calls(module, self.name, self.shown, self.limits, list(changed))
        return rows + [{**each.to_json(), "method": "mutation"} for each in more]

    def _once(self, work: Callable[[], list[Json]], what: str) -> list[Json] | None:
        """Run ``work`` in a fork; return its recordings, or None when it came to harm."""
        said = _forked(work, self.payload)
        if isinstance(said, list):
            return said
        reason, _, detail = said.partition(":")
        self.dropped.append((reason, f"{what}: {detail}"))
        return None


class _ImportError(Exception):
    """A module cannot be imported here, or is not the document."""


_FAILED: dict[str, str] = {}


def _imported(name: str) -> ModuleType:
    """Import a module, once; a failure is remembered."""
    if name not in _FAILED:
        try:
            with alarm(_IMPORT_SECONDS, _too_slow):
                return import_module(name)
        except BaseException as error:  # noqa: BLE001  anything may happen in a stranger's module
            _FAILED[name] = f"{type(error).__name__}: {str(error)[:200]}"
    raise _ImportError(_FAILED[name])


def _check_text(module: ModuleType, document: str) -> None:
    """The module that was imported must be the document, byte for byte."""
    file = getattr(module, "__file__", None)
    if not file or hashlib.sha256(Path(file).read_bytes()).hexdigest() != document:
        raise _ImportError(f"{module.__name__} is not the file of the corpus")


def _too_slow() -> NoReturn:
    raise TimeoutError(f"not done in {_IMPORT_SECONDS} s")


def _forked(work: Callable[[], list[Json]], payload: Mapping[str, Any]) -> list[Json] | str:
    """Run ``work`` in a fork; return its recordings, or ``reason:detail`` when it came to harm."""
    reader, writer = os.pipe()
    gc.freeze()  # else a collection in the fork copies every page of what was imported
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _in_fork(work, payload["cpu_seconds"], writer)
    os.close(writer)
    said, problem = None, ""
    try:
        said = json.loads(read_frame(reader, seconds=payload["wall_seconds"]))
    except FramingError as error:
        problem = str(error)
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    if said is not None:
        return said if isinstance(said, str) else [dict(each) for each in said]
    if "no answer" in problem:
        return f"timeout:{problem}"
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
        return f"timeout:CPU limit of {payload['cpu_seconds']} s"
    return f"crash:{problem}, wait status {status}"


def _refuse(*_arguments: object, **_options: object) -> NoReturn:
    raise PermissionError("traced code starts no processes: nothing in it says when they end")


def _in_fork(work: Callable[[], list[Json]], cpu_seconds: int, writer: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    time.sleep = lambda seconds: None  # who retries without a network need not wait between
    subprocess.Popen.__init__ = _refuse  # type: ignore[method-assign]
    try:
        write_json(writer, work())
    except MemoryError:
        write_json(writer, "memory:over the address space limit")
    except NotTraceable as error:
        write_json(writer, f"not-traceable:{error}")
    finally:
        os._exit(0)
