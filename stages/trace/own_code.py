"""Trace a program or a function of one's own file, as the stage does.

The stage's tracer, budgets and contexts are used as they are, so what comes out is what a model
was trained on. The file runs right here, with all its user's rights, or in the sandbox.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import Path
from typing import Any

from cluster.sandbox import Limits, Sandbox
from model.frames import Trace
from model.trace import mark_line
from stages.trace.own_run import CallError, OwnCodeError, Request, Show, run
from stages.trace.tracer.recording import Recording
from stages.trace.tracer.source import MODULE, ShownSource

__all__ = [
    "CallError",
    "OwnCodeError",
    "OwnTrace",
    "Request",
    "Show",
    "argument_list",
    "prints_to_stderr",
    "split_target",
    "trace_contained",
    "trace_own",
]

_KEYWORD = re.compile(r"([^\W\d]\w*)\s*=(?!=)(.*)", re.DOTALL)
_CONTAINED = "stages.trace.own_run:run_contained"
_OUTPUT_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class OwnTrace:
    """A call and what it did: ``shown`` says which lines of the file the trace shows."""

    request: Request
    shown: ShownSource
    recording: Recording

    @property
    def file(self) -> Path:
        """The file that was run."""
        return Path(self.request.file)

    @property
    def is_program(self) -> bool:
        """Whether the file was run from its top."""
        return self.recording.name == MODULE

    @property
    def context(self) -> str:
        """The source as a model reads it, its entry line marked."""
        return mark_line("".join(self.shown.text), self.shown.entry_line)

    @property
    def trace(self) -> Trace:
        """Context and frames, as renderings take them."""
        frames = self.recording.frames
        return Trace.from_row({"context": self.context, "frames": frames})

    @property
    def call(self) -> str:
        """What was asked for, as people write it."""
        if self.is_program:
            return " ".join(["python", self.file.name, *self.request.words])
        return f"{self.request.name}({self.request.arguments})"

    def to_json(self) -> dict[str, Any]:
        """Return the columns of `stages.tables.TRACES` that say what happened, and the file."""
        recording = self.recording
        return {
            "file": str(self.file),
            "context": self.context,
            "entry": recording.name,
            "arguments": recording.arguments,
            "frames": recording.frames,
            "outcome": recording.outcome,
            "result": recording.result,
            "tampered": recording.tampered,
        }


def split_target(target: str) -> tuple[Path, str]:
    """Return the file and the function of ``FILE:FUNCTION``, "" for FILE alone.

    Raises `CallError`.
    """
    path, name = target, ""
    if not Path(target).is_file():
        path, _, name = target.rpartition(":")
        if not path or not all(part.isidentifier() for part in name.split(".")):
            raise CallError(
                f"there is no file {target}. What to trace is a file, such as demo.py, a function "
                "of it, demo.py:gcd, or a method, demo.py:Stack.push"
            )
    if not Path(path).is_file():
        raise CallError(f"there is no file {path}")
    return Path(path).absolute(), name


def argument_list(words: Sequence[str]) -> str:
    """Return the source of an argument list; each word is a literal or ``name=literal``.

    Raises `CallError` for what is none.
    """
    texts: list[str] = []
    names: set[str] = set()
    for word in words:
        keyword = _KEYWORD.fullmatch(word)
        name, value = (f"{keyword[1]}=", keyword[2]) if keyword else ("", word)
        try:
            ast.literal_eval(value.strip())
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            raise CallError(
                f"the argument {word!r} is not a Python literal such as 12, [1, 2] or n=3; "
                f'a string keeps its quotes: "{value.strip()!r}"'
            ) from None
        if not name and names:
            raise CallError(f"the argument {word!r} follows one with a name: names come last")
        if name in names or iskeyword(name[:-1]):
            raise CallError(f"the argument {word!r} has a name that is taken")
        names |= {name} - {""}
        texts.append(name + ast.unparse(ast.parse(value.strip(), mode="eval")))
    return ", ".join(texts)


def trace_own(request: Request) -> OwnTrace:
    """Run the file here and trace what is asked for; whatever that does is the trace.

    With ``show="file"`` the context is the whole file and its functions are stepped into, as with
    the stage's generated programs; with "function" it is that function alone, without docstrings,
    as with functions of a corpus. Raises `CallError` and `OwnCodeError`.
    """
    return OwnTrace(request, *run(request))


def trace_contained(request: Request) -> tuple[OwnTrace, str]:
    """Do the same in the sandbox; return what the program printed too.

    The file is all that the program sees of its folder. Raises `CallError`, `OwnCodeError`, and
    `cluster.sandbox.SandboxUnavailable` where nothing can contain it.
    """
    payload = {
        "request": request.to_json(),
        "bytes": Path(request.file).read_bytes().hex(),
    }
    seconds = float(request.seconds or 3600)
    limits = Limits(cpu_seconds=seconds + 5, wall_seconds=seconds + 10, output_bytes=_OUTPUT_BYTES)
    with Sandbox(preload=("stages.trace.own_run",), limits=limits) as box:
        result = box.call(_CONTAINED, payload, capture=True)
    if result.outcome != "ok":
        raise OwnCodeError(f"in the sandbox it ended as {result.outcome}: {result.error}")
    return answered(request, result.value), result.stdout


def answered(request: Request, found: Any) -> OwnTrace:
    """Read the answer of a program that may have written it itself."""
    try:
        if "error" in found:
            kind = CallError if found["error"] == "CallError" else OwnCodeError
            raise kind(str(found["said"]))
        shown = ShownSource.from_json(found["shown"])
        lines = set(range(1, len(shown.text) + 1))
        if set(shown.numbers.values()) != lines or shown.entry_line not in lines:
            raise ValueError("lines that are not there")
        recording = Recording.from_json(found["recording"], [str(line) for line in shown.text])
    except (CallError, OwnCodeError):
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise OwnCodeError(f"the program answered in the tracer's place: {error}") from error
    return OwnTrace(request, shown, recording)


@contextmanager
def prints_to_stderr() -> Iterator[None]:
    """What the program prints, child processes included, goes to stderr: stdout is the trace's."""
    sys.stdout.flush()
    before = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(before, 1)
        os.close(before)
