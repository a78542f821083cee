"""Trace one's own code and look at it: ``python -m stages.trace FILE[:FUNCTION] ARGS``."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from typing import Annotated, Literal

import tyro
from rich.console import Console

from cluster.sandbox import SandboxError, SandboxUnavailable
from model.frames import Trace, diff
from model.tokens import Piece, Special, piece_text
from model.trace import context_pieces, step_pieces
from stages.trace.own_code import (
    CallError,
    OwnCodeError,
    OwnTrace,
    Request,
    Show,
    argument_list,
    prints_to_stderr,
    split_target,
    trace_contained,
    trace_own,
)
from stages.trace.renderings.debugger import debugger_pieces, sample_session
from stages.trace.renderings.listing import annotated_table, ending, listing
from stages.trace.renderings.prose import prose
from stages.trace.settings import TraceSettings
from stages.trace.tracer.engine import NOTICE, engine_name
from stages.trace.tracer.recording import TraceLimits

_PROGRAM = "python -m stages.trace"
_ABOUT = f"""Run code of your own and see, line by line, what it does.

  {_PROGRAM} demo.py:gcd 12 18                     a function, with these arguments
  {_PROGRAM} demo.py:count "['a', 'b']" "'a'" start=1
  {_PROGRAM} demo.py:Stack.push 3                  a method of Stack()
  {_PROGRAM} demo.py -- input.txt --verbose        the file as a program: python demo.py …
  {_PROGRAM} demo.py:gcd 12 18 --format cwm        as a code world model reads it
  {_PROGRAM} stranger.py:f 1 --sandbox             code that you do not trust

Lines stand in the order in which they ran, what each did beside it; a callee is indented below the
line that calls it. What repeats itself is told in short: --format listing shows every step. Code of
other files is stepped over. What the program prints goes to stderr.

Without --sandbox the file runs in this process, with all your rights. In the sandbox it has no
network and no files but itself.

Exit codes: 0 here is the trace, also of a call that raised or was cut; 1 the file cannot be run;
2 the command line makes no sense."""

Format = Literal["annotated", "listing", "prose", "cwm", "debugger", "json"]


@dataclasses.dataclass(frozen=True)
class Options:
    """What to trace and how to show it."""

    target: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE[:FUNCTION]")]
    """The file; with a function at its outermost level, or CLASS.METHOD, that is called."""
    arguments: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[ARGUMENT ...]")
    ] = ()
    """Of a function: Python literals in the shell's quotes: 12, "[1, 2]", "'text'", name=3. Of a
    file: its own arguments, as they are; put -- before them when one begins with a dash."""
    format: Format = "annotated"
    """annotated: source, and what each line did. listing: every step with the values that are new.
    prose: in words. cwm: CWM's training text, special tokens by name. debugger: a session of the
    neural debugger. json: context, frames with all locals, outcome, result."""
    show: Show = "file"
    """file: all of the file is shown, and calls within it are stepped into. function: that function
    alone, without docstrings, as the stage shows functions of a corpus."""
    sandbox: bool = False
    """Run the file in the sandbox, where it can do no harm."""
    limit: int = 400
    """Rows of annotated and listing that are shown; 0: all."""
    seconds: int = 60
    """Of the clock, after which the trace is cut; 0: no limit."""
    seed: int = 0
    """Chooses the wording of prose and the actions of debugger."""
    limits: Annotated[TraceLimits, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=lambda: TraceLimits(value_chars=TraceSettings().value_chars)
    )


def main(arguments: list[str]) -> int:
    """Run the command and return the exit code."""
    options = tyro.cli(
        Options,
        args=arguments,
        prog=_PROGRAM,
        description=_ABOUT,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    if engine_name() == "python":
        print(NOTICE, file=sys.stderr)
    try:
        trace = _traced(_request(options), contained=options.sandbox)
    except (CallError, OwnCodeError, SandboxError, SandboxUnavailable) as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, CallError) else 1
    except KeyboardInterrupt:
        return 130
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a pager that ends early is no error
    _show(trace, options)
    return 0


def _check_numbers(options: Options) -> None:
    """Refuse budgets that nothing can meet."""
    limits = options.limits
    for name, value, least in (
        ("seconds", options.seconds, 0),
        ("limit", options.limit, 0),
        ("depth", limits.depth, 0),
        ("events", limits.events, 0),
        ("bytes", limits.bytes, 0),
        ("calls", limits.calls, 0),
        ("value-chars", limits.value_chars, 10),
    ):
        if value < least:
            raise CallError(f"--{name} {value}: {least} or more")


def _request(options: Options) -> Request:
    file, name = split_target(options.target)
    if not name and options.show == "function":
        raise CallError(f"--show function needs a function: {options.target}:FUNCTION")
    _check_numbers(options)
    return Request(
        file=str(file),
        name=name,
        arguments=argument_list(options.arguments) if name else "",
        words=() if name else options.arguments,
        show=options.show,
        seconds=options.seconds,
        limits=options.limits,
    )


def _traced(request: Request, *, contained: bool) -> OwnTrace:
    if contained:
        trace, printed = trace_contained(request)
        sys.stderr.write(printed)
        return trace
    with prints_to_stderr():
        return trace_own(request)


def _show(trace: OwnTrace, options: Options) -> None:
    if not trace.recording.steps:  # the budgets had no room for the first frame
        print(ending(trace), file=sys.stderr)
        return
    if options.format in ("annotated", "listing"):
        table = annotated_table if options.format == "annotated" else listing
        terminal = sys.stdout.isatty()
        colours = "auto" if terminal and not os.environ.get("NO_COLOR") else None
        console = Console(
            width=None if terminal else 160,
            color_system=colours,  # type: ignore[arg-type]
            highlight=False,
        )
        console.print(table(trace, options.limit, console.width))
        return
    print(_text(trace, options))
    if trace.recording.outcome not in ("return", "exception"):
        print(ending(trace), file=sys.stderr)


def _text(trace: OwnTrace, options: Options) -> str:
    if options.format == "json":
        return json.dumps(trace.to_json())
    if options.format == "prose":
        return prose(trace.trace, options.seed).rstrip("\n")
    if options.format == "cwm":
        return cwm_text(trace.trace)
    session = sample_session(trace.trace, options.seed)
    return _joined(debugger_pieces(trace.trace, session))


def cwm_text(trace: Trace) -> str:
    """Return the trace in CWM's grammar; only one that is whole has the end token."""
    pieces = context_pieces(trace.context)
    pieces += [piece for step in diff(trace.frames) for piece in step_pieces(step)]
    return _joined([*pieces, Special("eos")] if trace.whole else pieces)


def _joined(pieces: list[Piece]) -> str:
    return "".join(map(piece_text, pieces))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
