"""The command line ``python -m model.generate``: a predicted trace beside the true one."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import tyro
from rich.console import Console
from rich.text import Text

from model.checkpoint import CheckpointError, load_config
from model.frames import diff
from model.predict_trace import (
    Decoding,
    NoTraceError,
    Prediction,
    PromptTooLongError,
    TrueTrace,
    build_prompt,
    load,
    predict,
    true_trace,
)
from model.prediction_table import steps_table, verdict
from model.tokens import TokenizerFileError
from model.trace import EXPECTED, encode_steps

_WIDTH = 200  # where no terminal says how wide it is
_PROGRAM = "python -m model.generate"
_ABOUT = f"""Show what a checkpoint thinks that a function of yours does, beside what it does.

  {_PROGRAM} runs/midtrain/HASH/current demo.py:gcd 12 18
  {_PROGRAM} runs/midtrain/HASH/current demo.py:gcd 12 18 --force-lines
  {_PROGRAM} CHECKPOINT demo.py:count "['a', 'b']" "'a'" --samples 8 --temperature 0.6

The model is given the source and the call, and writes the trace on. Steps that agree are marked =,
others ≠; what is shown beside a line are the values that changed before it runs. The function runs
in a child process with all your rights: give it code that you trust.

Exit codes: 0 here is the comparison, whatever it says; 1 the checkpoint or the file cannot be used;
2 the command line makes no sense."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is predicted, with which checkpoint, and how it is decoded."""

    checkpoint: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CHECKPOINT")]
    """A folder with config.json, model.safetensors and tokenizer.json, such as a training stage's
    artifact."""
    target: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE:FUNCTION")]
    """The file, and a function at its outermost level."""
    arguments: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[ARGUMENT ...]")
    ] = ()
    """Python literals in the shell's quotes: 12, "[1, 2]", "'text'", name=3."""
    show: Literal["file", "function"] = "file"
    """file: the model reads all of the file. function: that function alone, without docstrings; its
    calls are stepped over."""
    plain: bool = False
    """No colours and no terminal's width, as where the output is no terminal."""
    decoding: Annotated[Decoding, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=Decoding
    )


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the program with its exit code."""
    try:
        options = tyro.cli(
            Options,
            args=arguments,
            prog=_PROGRAM,
            description=_ABOUT,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
    except ValueError as error:  # of the settings' own checks
        print(error, file=sys.stderr)
        sys.exit(2)
    try:
        _run(options)
    except NoTraceError as error:
        print(error, file=sys.stderr)
        sys.exit(2 if error.code == 2 else 1)
    except (CheckpointError, PromptTooLongError, TokenizerFileError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _run(options: Options) -> None:
    load_config(options.checkpoint)  # is it one? before anything runs
    true = true_trace(options.target, options.arguments, options.show)
    model, tokenizer = load(options.checkpoint)
    prompt = len(build_prompt(model, tokenizer, true))
    predictions = predict(model, tokenizer, true, options.decoding)
    terminal = sys.stdout.isatty() and not options.plain
    console = Console(
        width=None if terminal else _WIDTH,
        color_system="auto" if terminal else None,
        highlight=False,
    )
    room = model.config.max_position_embeddings - prompt
    needed = len(encode_steps(diff(true.frames)[1:], tokenizer)) + 1  # and the end token
    console.print(steps_table(predictions[0].comparison, true.context))
    for number, prediction in enumerate(predictions, 1):
        head = f"sample {number}: " if len(predictions) > 1 else ""
        console.print()
        console.print(Text(head) + verdict(prediction.comparison))
        console.print(_tokens(prediction, prompt, needed))
        if problem := _problem(prediction, room):
            console.print(Text(problem, "bold red"), soft_wrap=True)
    _notes(console, true, needed, room)


def _tokens(prediction: Prediction, prompt: int, needed: int) -> Text:
    sample = prediction.sample
    forced = f", {sum(sample.forced)} of them forced" if any(sample.forced) else ""
    return Text(
        f"{len(sample.tokens):,} tokens{forced}; the true trace takes {needed:,}, "
        f"the prompt took {prompt:,}",
        "dim",
    )


def _problem(prediction: Prediction, room: int) -> str:
    """Say where and why a prediction is no whole trace; "" where it is one."""
    sample, error = prediction.sample, prediction.parsed.error
    if not sample.finished and (error is None or error.reason == "truncated"):
        why = "the model's context is full" if len(sample.tokens) == room else "--max-new-tokens"
        return f"cut after {len(sample.tokens):,} tokens: {why}"
    if error is None:
        return "" if prediction.parsed.complete else "it does not end where the function is left"
    found = repr(error.after) if error.after else "nothing"
    return (
        f"the grammar breaks at token {error.position - prediction.given}: expected "
        f"{EXPECTED[error.reason]}; found {found} after {error.before!r}"
    )


def _notes(console: Console, true: TrueTrace, needed: int, room: int) -> None:
    if not true.whole:
        console.print(f"the true trace was cut ({true.outcome}): only its beginning is compared")
    if needed > room:
        console.print(
            f"the true trace takes {needed:,} tokens, but behind the prompt the model's context "
            f"has room for {room:,}"
        )
