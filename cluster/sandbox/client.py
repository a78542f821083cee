"""The sandbox as its user sees it: a server to call, replaced when anything about it is odd."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NoReturn, Self

from cluster.sandbox.cgroup import ControlGroup
from cluster.sandbox.framing import FramingError, read_frame, write_json
from cluster.sandbox.layer import ROOT, Layer, Trust, choose_layer, enter_command, fresh_user
from cluster.sandbox.limits import Limits, Outcome, Result
from cluster.sandbox.view import (
    ENVIRONMENT,
    SCRATCH,
    SCRATCH_BYTES,
    interpreter_paths,
    package_paths,
    view,
)

_START_SECONDS = 120.0
_GRACE_SECONDS = 10.0  # the server's own sweep and wipe after the wall limit struck
_CALLS_PER_SERVER = 5000
_ENTER_GROUPS = (
    "/bin/sh",
    "-c",
    'while [ "$1" != -- ]; do echo $$ > "$1" || exit; shift; done; shift; exec "$@"',
    "sh",
)


class SandboxError(RuntimeError):
    """The server did not start, as when a preloaded module is missing; says what it printed."""


class Sandbox:
    """One sandbox with a pre-warmed server; a context manager. Use one per thread or process.

    ``preload`` are modules imported once by the server; a function outside them is imported anew by
    each call. ``read_only`` are further files and directories to show inside, at their own paths.
    ``limits`` hold for every call that brings none of its own.
    ``path`` are further entries for the server's ``sys.path``; they are shown inside as well.
    ``environment`` are further variables of the server and its programs.
    ``trust`` says whose programs they are: "trusted" ones, such as our generator's, may run where
    nothing contains them. ``layer`` asks for one layer instead of the best.

    Raises `SandboxUnavailable` where nothing can contain a program, `SandboxError` when the server
    does not start. The kernel ends the sandbox together with the thread that started it.
    """

    def __init__(
        self,
        *,
        preload: Sequence[str] = (),
        read_only: Sequence[Path | str] = (),
        limits: Limits | None = None,
        path: Sequence[Path | str] = (),
        environment: Mapping[str, str] | None = None,
        trust: Trust = "untrusted",
        layer: Layer | None = None,
    ) -> None:
        found = choose_layer(trust, layer)
        self.layer = found.layer
        self.limits = limits or Limits()
        self.starts = 0
        """How many servers there have been: 1 unless something odd happened."""
        self._preload = list(preload)
        self._search = [str(ROOT), *(str(Path(entry).resolve()) for entry in path)]
        shown = [Path(entry) for entry in (*read_only, *self._search[1:])]
        self._view = view([*interpreter_paths(), *package_paths(ROOT), *shown])
        self.own_user = found.own_user or _closed(self._view.private)
        """Why programs run as the user of this process, "" when they run as one of their own."""
        self._filter, self._grouped = not found.seccomp, not found.control_group
        self._environment = dict(environment or {})
        self._server: subprocess.Popen[bytes] | None = None
        self._open = ExitStack()
        self._group: ControlGroup | None = None
        self._calls = 0

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def call(
        self, target: str, payload: Any, *, limits: Limits | None = None, capture: bool = False
    ) -> Result:
        """Run ``module:function(payload)`` in a fresh fork and return what it came to.

        What the program does never raises here. ``payload`` is any JSON value. ``capture`` keeps
        what the program writes to its standard streams, which else goes nowhere.
        """
        limits = limits or self.limits
        if self._server is None or self._calls >= _CALLS_PER_SERVER:
            self._start()
        assert self._server is not None and self._server.stdin and self._server.stdout
        self._calls += 1
        if self._group is not None:
            self._group.limit(limits.processes, limits.memory_bytes + SCRATCH_BYTES)
        request = {"target": target, "payload": payload, "limits": asdict(limits)}
        started = time.monotonic()
        answer: dict[str, Any] = {"clean": False}  # until the server says so, also when interrupted
        try:
            write_json(self._server.stdin.fileno(), {**request, "capture": capture})
            reply = self._answer(limits.wall_seconds + _GRACE_SECONDS)
            body, output = self._answer(_GRACE_SECONDS), self._answer(_GRACE_SECONDS)
            answer = json.loads(reply)
            return _result(answer, body, output.decode(errors="replace"))
        except (FramingError, BrokenPipeError) as error:
            wall = time.monotonic() - started
            return Result(outcome="crash", error=f"the server was lost: {error}", wall_seconds=wall)
        finally:
            if not answer["clean"]:
                self.close()

    def close(self) -> None:
        """End the server and everything in the sandbox; the next call would start a new one."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = self._group = None
        self._open.close()

    def _answer(self, seconds: float) -> bytes:
        assert self._server is not None and self._server.stdout
        return read_frame(self._server.stdout.fileno(), seconds=seconds)

    def _start(self) -> None:
        """Start a server and wait until it has imported what it should."""
        self.close()
        errors = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  it is one
        if self._grouped:
            self._group = ControlGroup()
            self._open.callback(self._group.remove)
        scratch = SCRATCH
        if self.layer == "rlimit-only":
            scratch = self._open.enter_context(tempfile.TemporaryDirectory(prefix="cwm-sandbox-"))
        user = fresh_user() if os.geteuid() == 0 and not self.own_user else 0
        self._server = self._launch(errors, scratch, change_user=bool(user))
        self.starts += 1
        self._calls = 0
        setup = {"preload": self._preload, "user": user, "scratch": scratch, "filter": self._filter}
        assert self._server.stdin is not None
        try:
            write_json(self._server.stdin.fileno(), setup)
            self._answer(_START_SECONDS)
        except (FramingError, BrokenPipeError) as error:
            self._server.kill()
            self._server.wait()
            errors.seek(0)
            said = errors.read().decode(errors="replace")[-4000:]
            self.close()
            raise SandboxError(
                f"the server of the sandbox did not start ({error}):\n{said}"
            ) from error
        if self._group is not None:
            self._group.started()

    def _launch(
        self, errors: IO[bytes], scratch: str, *, change_user: bool
    ) -> subprocess.Popen[bytes]:
        inside = {**ENVIRONMENT, **self._environment, "PYTHONPATH": os.pathsep.join(self._search)}
        command, outside = enter_command(self.layer, self._view, inside, change_user=change_user)
        command += [sys.executable, "-P", "-s", "-B", "-m", "cluster.sandbox.server"]
        if self._group is not None:
            command = [*_ENTER_GROUPS, *self._group.entrances, "--", *command]
        server = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
            env=outside,
            cwd=scratch,
        )
        for stream in (server.stdin, server.stdout):
            assert stream is not None
            self._open.callback(_close, stream)
        return server


def _close(stream: IO[bytes]) -> None:
    with suppress(BrokenPipeError):
        stream.close()


def _closed(private: Sequence[str]) -> str:
    if os.geteuid() or not private:  # only root becomes somebody else
        return ""
    return f"other users may not read {', '.join(private)}"


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _result(answer: dict[str, Any], body: bytes, stdout: str) -> Result:
    """Read the server's answer and the program's frame, which may hold anything."""
    spent = {"cpu_seconds": answer["cpu"], "wall_seconds": answer["wall"], "stdout": stdout}
    if answer["end"]:
        outcome, _, reason = answer["end"].partition(":")
        return Result(outcome=outcome, error=reason, **spent)
    try:
        said = json.loads(body, parse_constant=_refuse)
        if "ok" in said:
            return Result(outcome="ok", value=said["ok"], **spent)
        outcome, reason = said["failure"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        return Result(outcome="crash", error=f"the result is no valid reply: {error!r}", **spent)
    known: dict[Any, Outcome] = {"error": "error", "memory": "memory", "output": "output"}
    return Result(outcome=known.get(str(outcome), "crash"), error=str(reason), **spent)
