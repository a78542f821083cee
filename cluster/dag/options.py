"""The options of a pipeline's command line, and the text of its help."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Annotated, Literal

import tyro

from cluster.dag.errors import DagError

Names = tyro.conf.UseAppendAction[tuple[str, ...]]


class UnknownPresetError(DagError):
    """No preset has that name; says which there are."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line says besides ``stage.key=value``."""

    preset: str | None = None
    """Which settings to start from. Else CWM_PRESET, else tiny."""
    plan: bool = False
    """Print what would happen and why, and stop."""
    json: bool = False
    """With --plan: print it as JSON."""
    only: Names = ()
    """Run just this stage (or step) again, on the inputs already there. May be given again."""
    start: Annotated[Names, tyro.conf.arg(name="from")] = ()
    """Run this stage and all after it again."""
    until: Names = ()
    """Stop after this stage."""
    rerun: bool = False
    """Run the selected steps again even when their artifacts are there."""
    rerun_drifted: bool = False
    """Run steps again whose code changed, where the preset would ask."""
    accept_drift: Names = ()
    """Keep what this stage made although its code changed."""
    settings: str | None = None
    """Print the settings of this step, explained, and stop."""
    config: str | None = None
    """Start from a resolved config.json instead of the preset's settings."""
    imports: Annotated[Names, tyro.conf.arg(name="import", metavar="STEP=FOLDER")] = ()
    """Take what this step would make from a folder: a checkpoint in HF's layout (config.json,
    safetensors, tokenizer) for a training step, or a tokenizer. May be given again."""
    store: str | None = None
    """Where artifacts lie. Else CWM_STORE, else ./runs."""
    executor: Literal["ray", "local"] = "ray"
    """ray: in parallel on the cluster at RAY_ADDRESS or on this machine. local: in this process,
    for debugging."""
    tracking: str | None = None
    """MLflow address. Else MLFLOW_TRACKING_URI, else a database in the store. none: no tracking."""
    verify: bool = False
    """Compare every file of the artifacts that are used with its sha256."""
    allow_unsandboxed: bool = False
    """Run untrusted programs also where nothing contains them: on a machine that you can lose."""
    verbose: bool = False
    """Also print what Ray's workers print."""


def parse_options(arguments: Sequence[str], program: str, about: str) -> Options:
    """Return the options; ends the program with code 2 and a suggestion when one is wrong."""
    return tyro.cli(
        Options,
        args=list(arguments),
        prog=program,
        description=help_text(program, about),
        config=(tyro.conf.FlagCreatePairsOff,),
    )


def help_text(program: str, about: str) -> str:
    """Return the text that ``--help`` begins with."""
    return f"""{about}

Every step's result is kept in the store; what is there already is not made again.

  {program}                                     everything, with the preset tiny
  {program} --preset tiny --plan                what would happen, why, and what it would take
  {program} midtrain.steps=400                  another setting: midtrain and what follows it
  {program} evaluate.n=50 evaluate.rl.n=200     of all evaluations; of one
  {program} midtrain.placement.workers=2        where it runs: changes no result
  {program} --only evaluate.rl                  one step again, on the inputs already there
  {program} --from sft                          sft and all after it again
  {program} --until trace                       stop early
  {program} --settings midtrain                 the settings of one stage, explained
  {program} --import pretrain=FOLDER            go on from an external checkpoint

Settings are written stage.key=value; tuples as stage.key=1,2,3."""


def choose_preset(option: str | None, known: Iterable[str]) -> tuple[str, str]:
    """Return the preset's name and why it is that one; raises `UnknownPresetError`."""
    name, why = "tiny", "the default: neither --preset nor CWM_PRESET is given"
    if option is not None:
        name, why = option, "--preset"
    elif variable := os.environ.get("CWM_PRESET"):
        name, why = variable, "CWM_PRESET"
    names = list(known)
    if name not in names:
        close = get_close_matches(name, names, n=1)
        hint = f" Perhaps you meant {close[0]}." if close else ""
        raise UnknownPresetError(
            f"no preset is called {name!r} ({why}).{hint} There are: {', '.join(names)}"
        )
    return name, why
