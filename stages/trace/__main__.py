"""Trace one's own function and look at it: ``python -m stages.trace FILE:FUNCTION ARGS``."""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
from typing import Annotated, Literal

import tyro
from rich.console import Console

from model.frames import Frame, diff, leaves_scope
from model.tokens import Piece, Special, special_offset, special_text
from model.trace import context_pieces, step_pieces
from stages.trace.own_code import (
    CallError,
    OwnCodeError,
    OwnTrace,
    Show,
    argument_list,
    prints_to_stderr,
    split_target,
    trace_own,
)
from stages.trace.renderings.listing import ending, listing
from stages.trace.settings import TraceSettings
from stages.trace.tracer.engine import NOTICE, engine_name
from stages.trace.tracer.recording import TraceLimits

_PROGRAM = "python -m stages.trace"
_ABOUT = f"""Run a function of your own and show, line by line, what it does.

  {_PROGRAM} demo.py:gcd 12 18
  {_PROGRAM} demo.py:count "['a', 'b']" "'a'" start=1
  {_PROGRAM} demo.py:gcd 12 18 --format cwm       as a code world model reads it

The values beside a line are those before it runs. What the program prints goes to stderr.
The file runs in this process, with all your rights: give it code that you trust. (The pipeline's
trace stage, which runs code from elsewhere, does so in a sandbox.)

Exit codes: 0 here is the trace, also of a call that raised or was cut; 1 the file cannot be run;
2 the command line makes no sense."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What to trace and how to show it."""

    target: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE:FUNCTION")]
    """The file, and a function at its outermost level."""
    arguments: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[ARGUMENT ...]")
    ] = ()
    """Python literals in the shell's quotes: 12, "[1, 2]", "'text'", name=3."""
    format: Literal["listing", "cwm", "json"] = "listing"
    """listing: for people. cwm: the training text, special tokens by name. json: context, frames
    with all locals, outcome, result."""
    show: Show = "file"
    """file: all of the file is shown, and calls within it are stepped into. function: that function
    alone, without docstrings, as the stage shows functions of a corpus."""
    seconds: int = 60
    """Of the clock, after which the trace is cut; 0: no limit."""
    limits: Annotated[TraceLimits, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=lambda: TraceLimits(value_chars=TraceSettings().value_chars)
    )


def main(arguments: list[str]) -> int:
    """Run the command and return the exit code."""
    options = tyro.cli(Options, args=arguments, prog=_PROGRAM, description=_ABOUT)
    if engine_name() == "python":
        print(NOTICE, file=sys.stderr)
    try:
        file, function = split_target(options.target)
        given = argument_list(options.arguments)
        with prints_to_stderr():
            trace = trace_own(file, function, given, options.limits, options.show, options.seconds)
    except (CallError, OwnCodeError) as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, CallError) else 1
    except KeyboardInterrupt:
        return 130
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a pager that ends early is no error
    _show(trace, options)
    return 0


def _show(trace: OwnTrace, options: Options) -> None:
    if options.format == "listing":
        Console(width=None if sys.stdout.isatty() else 160, highlight=False).print(listing(trace))
        return
    print(json.dumps(trace.to_json()) if options.format == "json" else cwm_text(trace))
    if trace.recording.outcome not in ("return", "exception"):
        print(ending(trace), file=sys.stderr)


def cwm_text(trace: OwnTrace) -> str:
    """Return the trace in CWM's grammar; only one that is whole has the end token."""
    frames = [Frame.from_row(row) for row in trace.recording.frames]
    pieces = context_pieces(trace.context)
    pieces += [piece for step in diff(frames) for piece in step_pieces(step)]
    if leaves_scope(frames):
        pieces.append(Special("eos"))
    return "".join(map(_text, pieces))


def _text(piece: Piece) -> str:
    return piece if isinstance(piece, str) else special_text(special_offset(piece.name))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
