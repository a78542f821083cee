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
from cluster.dag.imports import (
    Importing,
    ImportOptionError,
    parse_imports,
    select_imported,
    stand_in,
)
from cluster.dag.options import Options, UnknownPresetError, choose_preset, parse_options
from cluster.dag.overrides import (
    OverrideError,
    apply_config,
    apply_overrides,
    explain_settings,
    split_arguments,
)
from cluster.dag.run import Closing, Command, Run
from cluster.dag.selection import Selection, SelectionError, select
from cluster.dag.stage import resolve
from cluster.dag.step import Pipeline, PipelineError, Preset, UnknownStepError

Presets = Mapping[str, Callable[[], Preset]]
Overrides = list[tuple[str, str]]

_USAGE = (
    ImportOptionError,
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
    importing: str | None = None,
    arguments: Sequence[str] | None = None,
) -> int:
    """Run a pipeline's command line and return the exit code.

    ``program`` is what a person types; ``root`` the directory that the project is imported from.
    ``closing`` prints what the run is about (results) from its outcomes, after the summary.
    ``importing`` names the `Importing` that makes steps of what ``--import`` names, if anything
    can be imported.
    """
    given = tuple(sys.argv[1:] if arguments is None else arguments)
    console = Console(width=None if sys.stdout.isatty() else 160)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        options, overrides = _options(given, program, about)
        configured = _configured(presets, options, overrides, program, console)
        imported = _with_imports(configured, options, importing, console)
        command = Command(
            pipeline=imported,
            configured=configured,
            selection=_selection(imported, options),
            options=options,
            arguments=given,
            name=pipeline,
            program=program,
            root=root,
        )
        return Run(command, console, closing).run()
    except _USAGE as error:
        print(error, file=sys.stderr)
        return 2
    except DagError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _options(given: tuple[str, ...], program: str, about: str) -> tuple[Options, Overrides]:
    others, overrides = split_arguments(given)
    return parse_options(others, program, about), overrides


def _configured(
    presets: Presets, options: Options, overrides: Overrides, program: str, console: Console
) -> Pipeline:
    """Return the preset's pipeline with the settings asked for; say which preset it is and why."""
    name, why = choose_preset(options.preset, presets)
    if not options.json:
        console.print(f"preset {name} ({why})", highlight=False)
    try:
        preset = presets[name]()
        if options.config is not None:
            preset = apply_config(preset, json.loads(Path(options.config).read_text()))
        pipeline = Pipeline(apply_overrides(preset, overrides, program))
    except (ValueError, OSError) as error:  # range checks and cross-stage checks raise ValueError
        raise PipelineError(f"preset {name}: {error}") from error
    if options.settings is not None:
        explain_settings(pipeline.steps[pipeline.match(options.settings)[0]], program)
    return pipeline


def _with_imports(
    pipeline: Pipeline, options: Options, importing: str | None, console: Console
) -> Pipeline:
    """Return the pipeline with what ``--import`` names in it; say what that changes."""
    folders = parse_imports(options.imports, pipeline)
    if not folders:
        return pipeline
    if importing is None:
        raise ImportOptionError("--import: this pipeline imports nothing")
    make: Importing = resolve(importing)
    made = make(pipeline.preset, folders)
    preset, dropped = stand_in(pipeline.preset, made.steps, list(folders))
    notes = [f"{name}: {note}" for name, note in made.notes.items() if name not in dropped]
    notes += [f"not needed: {', '.join(dropped)}"] if dropped else []
    for note in () if options.json else notes:
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    return Pipeline(preset)


def _selection(pipeline: Pipeline, options: Options) -> Selection:
    selection = select(
        pipeline,
        only=options.only,
        start=options.start,
        until=options.until,
        rerun=options.rerun,
    )
    return select_imported(selection, pipeline)
