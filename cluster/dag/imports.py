"""``--import STEP=FOLDER``: something external stands in for what a step would make.

The step keeps its name, so that whatever needs it finds it, but is one of another stage: a source
without inputs (`Stage.stands_in`). What only the replaced step needed is left out of the pipeline.
How a folder becomes a step is the pipeline program's business (`Importing`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.dag.errors import DagError
from cluster.dag.selection import Selection
from cluster.dag.step import Pipeline, Preset, Step


class ImportOptionError(DagError):
    """An ``--import`` makes no sense: no STEP=FOLDER, no such step, no such folder."""


class ImportRefusedError(DagError):
    """A folder cannot stand in for the step; says what is wrong with it and what to do."""


@dataclass(frozen=True, slots=True)
class StandIns:
    """The steps that take the place of those of the same name, and what to say about each."""

    steps: tuple[Step, ...]
    notes: Mapping[str, str]


Importing = Callable[[Preset, Mapping[str, Path]], StandIns]
"""Makes steps of {step: folder}; it may replace further steps. Raises `ImportRefusedError`."""


def parse_imports(given: Iterable[str], pipeline: Pipeline) -> dict[str, Path]:
    """Return {step: absolute folder} of ``STEP=FOLDER`` arguments.

    Raises `ImportOptionError`, and `UnknownStepError` with a suggestion.
    """
    found: dict[str, Path] = {}
    for argument in given:
        name, equals, text = argument.partition("=")
        if not equals or not name or not text:
            raise ImportOptionError(f"--import {argument}: write --import STEP=FOLDER")
        if name not in pipeline.match(name):
            raise ImportOptionError(f"--import {argument}: name one of {pipeline.match(name)}")
        if name in found:
            raise ImportOptionError(f"--import {argument}: {name} is imported already")
        folder = Path(text).expanduser().absolute()
        if not folder.is_dir():
            raise ImportOptionError(f"--import {argument}: there is no folder {folder}")
        found[name] = folder
    return found


def stand_in(
    preset: Preset, steps: Sequence[Step], asked: Collection[str]
) -> tuple[Preset, list[str]]:
    """Return the preset with ``steps`` in the place of those of the same name, and which others
    are left out because nothing needs them any more.

    ``asked`` are those of ``steps`` that were asked for. Left out is what they were made from and
    nothing that follows them takes, with whatever requires that: of three trainings in a row,
    importing the last drops the first two and their evaluations. A step that takes anything and
    requires nothing (a report) keeps none.
    """
    changed = preset
    for step in steps:
        changed = changed.with_step(step)
    before, after = Pipeline(preset), Pipeline(replace(changed, validate=None))
    upstream = before.ancestors(asked) - set(asked)
    follow = _follow(after, asked, upstream)
    unneeded = upstream - after.ancestors(follow)
    for name, step in after.steps.items():  # in order, so what a step requires is settled first
        required = {step.inputs[key] for key in step.stage.inputs}
        if name not in follow and required & unneeded:
            unneeded.add(name)
    kept = tuple(
        replace(step, inputs={k: v for k, v in step.inputs.items() if v not in unneeded})
        for step in changed.steps
        if step.name not in unneeded
    )
    # what concerns several steps was checked while all were there
    return replace(changed, steps=kept, validate=None), [n for n in before.steps if n in unneeded]


def _follow(pipeline: Pipeline, first: Collection[str], upstream: Collection[str]) -> set[str]:
    """Return ``first`` and what requires them, directly or not, but not through ``upstream``."""
    found = set(first)
    for name, step in pipeline.steps.items():  # in order, so parents are settled first
        if step.stage.inputs and name not in upstream and found & set(step.inputs.values()):
            found.add(name)
    return found


def select_imported(selection: Selection, pipeline: Pipeline) -> Selection:
    """Return a selection that also makes what is imported for its steps: it costs nothing."""
    inputs = {source for name in selection.steps for source in pipeline.steps[name].inputs.values()}
    wanted = {name for name in inputs if pipeline.steps[name].stage.stands_in}
    return replace(selection, steps=selection.steps | wanted)
