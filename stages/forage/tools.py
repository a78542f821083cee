"""The agent's tools, as CWM names them: bash, edit, create, submit. They run inside the sandbox.

The working directory has one place, so that what the tools print does not depend on anything else.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import NoReturn

WORKSPACE = Path("/tmp/work")

TESTS = "test.py"
"""What the agent runs: `stages.forage.run_tests` as a file of the workspace."""

_SEPARATORS = ("<<<<<<< SEARCH\n", "\n=======\n", "\n>>>>>>> REPLACE")
STOPPED = "error: stopped after"
"""How a tool says that a program took too long; such an episode is not kept: a clock decided it."""

_COMMAND_SECONDS = 20  # wall time of a command other than `python`
_SHOWN = 1  # lines shown around an edit


def prepare(files: dict[str, str]) -> None:
    """Make a fresh workspace with ``files`` the current directory."""
    os.chdir("/")
    shutil.rmtree(WORKSPACE, ignore_errors=True)
    WORKSPACE.mkdir()
    os.chdir(WORKSPACE)
    for name, text in files.items():
        Path(name).write_text(text)


def call_tool(name: str, content: str, seconds: float) -> str:
    """Use a tool and return what it says; a mistake in the call is said, never raised."""
    if name == "bash":
        return bash(content, seconds)
    if name == "edit":
        return edit(content)
    if name == "create":
        return create(content)
    if name == "submit":
        return "submitted"
    return f"error: there is no tool {name!r}"


def bash(command: str, seconds: float) -> str:
    """Run a command line; ``python FILE`` runs in a fork, which has the function's module imported
    already.
    """
    words = command.split()
    if len(words) == 2 and words[0] == "python" and Path(words[1]).is_file():
        return _python(words[1], seconds)
    try:
        done = subprocess.run(
            ["bash", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{STOPPED} {_COMMAND_SECONDS} s"
    return done.stdout.decode(errors="replace")


def _python(script: str, seconds: float) -> str:
    """Run a script as ``python script`` would and return what it writes to both streams."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _be_python(script, writer, seconds)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        written = stream.read()
    _, status = os.waitpid(child, 0)
    text = written.decode(errors="replace")
    late = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF
    return text + (f"{STOPPED} {seconds:g} s\n" if late else "")


def _be_python(script: str, writer: int, seconds: float) -> NoReturn:
    """Become the script, in a fork: its exit is this process's."""
    os.dup2(writer, 1)
    os.dup2(writer, 2)
    for stream, handle in (("stdout", 1), ("stderr", 2)):
        setattr(sys, stream, os.fdopen(handle, "w", buffering=1, errors="replace", closefd=False))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # its default ends the process
    signal.setitimer(signal.ITIMER_PROF, seconds)
    sys.argv = [script]
    code = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001  what a script raises ends it with a traceback
        traceback.print_exc(limit=-1)
        code = 1
    sys.stdout.flush()
    os._exit(code)


def edit(content: str) -> str:
    """Replace one block of whole lines: a path, then a SEARCH/REPLACE block that matches in one
    place.
    """
    path, _, block = content.partition("\n")
    first, middle, last = _SEPARATORS
    search, found, replacement = block.removeprefix(first).removesuffix(last).partition(middle)
    if not block.startswith(first) or not block.endswith(last) or not found:
        return "error: a path and one SEARCH/REPLACE block are needed"
    if not Path(path).is_file():
        return f"error: {path} is not there"
    lines, wanted = Path(path).read_text().split("\n"), search.split("\n")
    places = find_block(lines, wanted)
    if len(places) != 1:
        return f"error: the SEARCH block is there {len(places)} times, once is needed"
    start, new = places[0], replacement.split("\n")
    lines[start : start + len(wanted)] = new
    Path(path).write_text("\n".join(lines))
    low, high = max(start - _SHOWN, 0), min(start + len(new) + _SHOWN, len(lines) - 1)
    return "\n".join(f"{n + 1:4} {lines[n]}" for n in range(low, high))


def find_block(lines: list[str], block: list[str]) -> list[int]:
    """Return where ``block`` stands in ``lines``, overlapping places included."""
    places = range(len(lines) - len(block) + 1)
    return [n for n in places if lines[n : n + len(block)] == block]


def edit_call(path: str, search: str, replacement: str) -> str:
    """Write the argument of `edit`."""
    first, middle, last = _SEPARATORS
    return f"{path}\n{first}{search}{middle}{replacement}{last}"


def create(content: str) -> str:
    """Make a file that is not there yet: a path, then its text."""
    path, _, text = content.partition("\n")
    if Path(path).exists():
        return f"error: {path} exists"
    with contextlib.suppress(FileNotFoundError):
        Path(path).write_text(text)
        return f"created {path}"
    return f"error: {Path(path).parent} is not there"


def workspace_files(task: dict[str, object], source: str) -> dict[str, str]:
    """Return the files that an episode starts with."""
    script = Path(__file__).with_name("run_tests.py").read_text()
    return {
        f"{task['name']}.py": source,
        TESTS: script,
        "tests.json": json.dumps(task),
    }
