"""One pytest session of a repository, inside the sandbox: started, watched, started again.

A session that hangs, or goes down, in a test is started again without that test and without those
that are done.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_POLL_SECONDS = 0.05
_SAID_BYTES = 2_000
_MOST_STARTS = 10
_OFF = ("pytest_cov", "xdist", "xdist.looponfail", "randomly", "pytest-randomly", "random_order")
_INSIDE = Path(__file__).resolve().parent / "inside"
_STAGES = Path(__file__).resolve().parents[2]

Json = dict[str, Any]


@dataclass(slots=True)
class _Told:
    """What the plugin has told so far."""

    phases: dict[str, list[str]] = field(default_factory=dict)
    finished: dict[str, None] = field(default_factory=dict)
    recordings: dict[str, str] = field(default_factory=dict)
    """Each as the JSON that it came as, nearly: as objects they take ten times the memory."""
    digests: dict[str, str] = field(default_factory=dict)
    untraced: dict[str, str] = field(default_factory=dict)
    failed_files: dict[str, str] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)
    """Tests that were ended, and why."""
    files: list[tuple[str, int, int]] = field(default_factory=list)
    engine: str = ""
    started: str = ""
    status: int | None = None

    def hear(self, message: Json, digests_only: bool) -> None:
        """Take in one line."""
        match message:
            case {"started": test}:
                self.started, self.phases[test] = test, []
            case {"phase": test, "when": when, "outcome": outcome}:
                self.phases.setdefault(test, []).append(f"{when}:{outcome}")
            case {"finished": test}:
                self.started, self.finished[test] = "", None
            case {"file": name, "start": start, "lines": lines}:
                self.files.append((name, start, lines))
            case {"test": test, "recording": recording}:
                placed = self._placed(recording)
                self.digests[test] = _digest(placed)
                if not digests_only:
                    self.recordings[test] = json.dumps(placed, sort_keys=True)
            case {"test": test, "untraced": reason}:
                self.untraced[test] = reason
            case {"collect": name, "error": error}:
                self.failed_files[name] = error
            case {"engine": engine}:
                self.engine = engine
            case {"end": status}:
                self.status = status

    def _placed(self, recording: Json) -> Json:
        """Number a recording's lines anew: line n is at ``places[n - 1]``, (file, line there).

        The numbers of the session's growing text say which tests ran before; these do not.
        """
        numbers: dict[int, int] = {}
        for step in recording["trace"]["steps"]:
            step[1] = numbers.setdefault(step[1], len(numbers) + 1)
        return {**recording, "places": [self._place(number) for number in numbers]}

    def _place(self, number: int) -> tuple[str, int]:
        for name, start, lines in self.files:
            if start < number <= start + lines:
                return name, number - start
        raise ValueError(f"line {number} is in no file")  # a forged recording: the session is lost


def _digest(recording: Json) -> str:
    """Return a digest of what a recording shows.

    The number of calls is no part of it: that of `subprocess.run` hangs on who is waited for.
    """
    text = json.dumps({**recording, "calls": 0}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def run_session(payload: Mapping[str, Any]) -> Json:
    """Run the tests of ``payload["files"]`` in the repository's interpreter.

    ``payload``: interpreter, repository (a folder to copy), import_roots, arguments, files, only
    (test ids, or None), sources (files whose functions are shown), tracing, digests_only, limits,
    test_seconds, seconds. Returns tests (id → phases), recordings (id → JSON of
    `Recording.to_json` with "places"), their digests, untraced and stopped (id → reason),
    failed_files, engine, status (pytest's, None when the session was lost) and what it said last.
    """
    folder = Path.cwd()
    root = folder / "repository"
    shutil.copytree(payload["repository"], root, symlinks=True)
    told = _Told()
    deadline = time.monotonic() + payload["seconds"]
    said = ""
    for number in range(_MOST_STARTS):
        request = _request(payload, root, folder / f"told{number}", told)
        said = _run(payload, request, root, told, deadline)
        if told.status is not None or time.monotonic() > deadline:
            break
        if not told.started:
            break  # it went down outside of any test: it would again
        told.stopped.setdefault(told.started, "crash")
        told.started = ""
    return {
        "tests": {test: " ".join(told.phases[test]) for test in told.finished},
        "recordings": told.recordings,
        "digests": told.digests,
        "untraced": told.untraced,
        "stopped": told.stopped,
        "failed_files": told.failed_files,
        "engine": told.engine,
        "status": told.status,
        "said": said,
    }


def _request(payload: Mapping[str, Any], root: Path, output: Path, told: _Told) -> Json:
    told.files.clear()
    return {
        "root": str(root),
        "output": str(output),
        "tracer": str(_STAGES),
        "sources": payload["sources"],
        "tracing": payload["tracing"],
        "limits": payload["limits"],
        "native": payload["native"],
        "only": payload["only"],
        "skipped": [*told.finished, *told.stopped],
    }


def _run(
    payload: Mapping[str, Any], request: Json, root: Path, told: _Told, deadline: float
) -> str:
    """Run pytest once; return the last of what it printed."""
    output = Path(request["output"])
    os.mkfifo(output)
    asked = output.with_suffix(".request")
    asked.write_text(json.dumps(request))
    roots = [str(root / name) for name in payload["import_roots"] if (root / name).is_dir()]
    environment = {
        **os.environ,
        "OPEN_CWM_TRACE": str(asked),
        "PYTHONPATH": os.pathsep.join([str(_INSIDE), *roots]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
    }
    command = [payload["interpreter"], "-m", "pytest", f"--rootdir={root}", "-q", "--color=no"]
    command += [f"-pno:{name}" for name in _OFF]
    command += [f"-ocache_dir={root.parent / 'cache'}", "--continue-on-collection-errors"]
    command += [*payload["arguments"], *payload["files"]]
    printed = output.with_suffix(".printed")
    with printed.open("wb") as stream:
        process = subprocess.Popen(
            command,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
        _watch(process, output, payload, told, deadline)
    return printed.read_bytes()[-_SAID_BYTES:].decode(errors="replace")


def _watch(
    process: subprocess.Popen[bytes],
    output: Path,
    payload: Mapping[str, Any],
    told: _Told,
    deadline: float,
) -> None:
    """Take in what is told until the process ends, and end it when it is over its time."""
    running, since = "", time.monotonic()
    reader = os.open(output, os.O_RDWR | os.O_NONBLOCK)  # as a writer too: it sees no end of file
    lines, over = _Lines(reader), False
    while not over:
        ended = process.poll() is not None
        for line in lines.ready(0.0 if ended else _POLL_SECONDS):
            told.hear(json.loads(line), payload["digests_only"])
        now = time.monotonic()
        if told.started != running:
            running, since = told.started, now
        late = bool(running) and now - since > payload["test_seconds"]
        if late:
            told.stopped[running] = "timeout"
        over = ended or late or now > deadline
    os.close(reader)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what the tests left running, too
    process.wait()


class _Lines:
    """Whole lines out of a pipe."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._rest = bytearray()

    def ready(self, seconds: float) -> Iterator[bytes]:
        """Wait so long for something; yield the lines that are there."""
        while select.select([self._handle], [], [], seconds)[0]:
            seconds = 0.0
            piece = os.read(self._handle, 1 << 20)
            self._rest += piece
            if b"\n" in piece:
                *whole, self._rest = self._rest.split(b"\n")
                yield from map(bytes, whole)
