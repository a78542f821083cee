"""The command line of a pipeline: choose a preset, apply settings, plan, run, say what is next.

    sys.exit(main(PRESETS, pipeline="full", program="python pipelines/full.py", root=ROOT))

Exit codes: 0 all is well, 1 a step failed or the run was refused, 2 the command line makes no
sense, 143 stopped by SIGTERM, 130 by Ctrl-C.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from cluster.dag.errors import DagError
from cluster.dag.identity import SettingsError
from cluster.dag.options import UnknownPresetError, choose_preset, parse_options
from cluster.dag.overrides import (
    OverrideError,
    apply_config,
    apply_overrides,
    explain_settings,
    split_arguments,
)
from cluster.dag.run import Closing, Command, Run
from cluster.dag.selection import SelectionError, select
from cluster.dag.step import Pipeline, PipelineError, Preset, UnknownStepError

Presets = Mapping[str, Callable[[], Preset]]

_USAGE = (
    OverrideError,
    PipelineError,
    SelectionError,
    SettingsError,
    UnknownPresetError,
    UnknownStepError,
)


def main(
    presets: Presets,
    *,
    pipeline: str,
    program: str,
    root: Path,
    about: str = "",
    closing: Closing | None = None,
    arguments: Sequence[str] | None = None,
) -> int:
    """Run a pipeline's command line and return the exit code.

    ``program`` is what a person types; ``root`` the directory that the project is imported from.
    ``closing`` prints what the run is about (results) from its outcomes, after the summary.
    """
    given = tuple(sys.argv[1:] if arguments is None else arguments)
    console = Console(width=None if sys.stdout.isatty() else 160)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        command = _parse(presets, given, pipeline, program, root, about, console)
        return Run(command, console, closing).run()
    except _USAGE as error:
        print(error, file=sys.stderr)
        return 2
    except DagError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parse(
    presets: Presets,
    given: tuple[str, ...],
    name: str,
    program: str,
    root: Path,
    about: str,
    console: Console,
) -> Command:
    """Read the command line, say which preset it is and why, and check that the steps fit."""
    others, overrides = split_arguments(given)
    options = parse_options(others, program, about)
    preset_name, why = choose_preset(options.preset, presets)
    if not options.json:
        console.print(f"preset {preset_name} ({why})", highlight=False)
    try:
        preset = presets[preset_name]()
        if options.config is not None:
            preset = apply_config(preset, json.loads(Path(options.config).read_text()))
        preset = apply_overrides(preset, overrides, program)
        pipeline = Pipeline(preset)
    except (ValueError, OSError) as error:  # range checks and cross-stage checks raise ValueError
        raise PipelineError(f"preset {preset_name}: {error}") from error
    if options.settings is not None:
        explain_settings(pipeline.steps[pipeline.match(options.settings)[0]], program)
    selection = select(
        pipeline,
        only=options.only,
        start=options.start,
        until=options.until,
        rerun=options.rerun,
    )
    return Command(
        pipeline=pipeline,
        selection=selection,
        options=options,
        arguments=given,
        name=name,
        program=program,
        root=root,
    )
