"""A step is a stage with settings and inputs; a preset is a list of steps; a pipeline is their
graph.

PRESETS = {"toy": toy}

def toy() -> Preset:
    return Preset(
        name="toy",
        drift_policy="rerun",
        steps=(
            Step("crawl", CRAWL, CrawlSettings()),
            Step("curate", CURATE, CurateSettings(), inputs={"documents": "crawl"}),
        ),
    )
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

from cluster.dag.errors import DagError
from cluster.dag.identity import normal_form
from cluster.dag.stage import Stage


class PipelineError(DagError):
    """The steps of a preset do not fit together; says which step and what is wrong."""


class UnknownStepError(DagError):
    """No step has that name; says which there are and which was perhaps meant."""


@dataclass(frozen=True, slots=True)
class Step:
    """A stage in a pipeline.

    ``name`` is the stage's name, or ``stage.variant``. ``inputs`` maps the stage's input names to
    the names of the steps whose artifacts they are.
    """

    name: str
    stage: Stage
    settings: Any
    placement: Any = None
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """All steps of a pipeline with their settings.

    ``drift_policy`` says what happens when a stage's code differs from what made its artifact:
    ``rerun`` it, or stop and ``ask``. ``validate`` checks what concerns several steps; it raises
    ValueError or a `DagError`.
    """

    name: str
    drift_policy: Literal["rerun", "ask"]
    steps: tuple[Step, ...]
    validate: Callable[[Preset], None] | None = None

    def with_step(self, step: Step) -> Preset:
        """Return a copy in which ``step`` takes the place of the step of that name."""
        return replace(self, steps=tuple(step if s.name == step.name else s for s in self.steps))


class Pipeline:
    """The checked graph of a preset's steps.

    ``steps`` is in an order in which every step follows its inputs and otherwise as in the preset.
    Raises `PipelineError` when steps do not fit together.
    """

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        by_name: dict[str, Step] = {}
        for step in preset.steps:
            if step.name in by_name:
                raise PipelineError(f"two steps are called {step.name}")
            by_name[step.name] = _checked(step)
        for step in by_name.values():
            _check_inputs(step, by_name)
        self.steps = {name: by_name[name] for name in _order(by_name)}
        if preset.validate is not None:
            preset.validate(replace(preset, steps=tuple(by_name.values())))

    def match(self, selector: str) -> list[str]:
        """Return the steps that ``selector`` names: one step, or all steps of a stage."""
        found = [n for n, step in self.steps.items() if selector in (n, step.stage.name)]
        if not found:
            known = list(dict.fromkeys([*self.steps, *(s.stage.name for s in self.steps.values())]))
            close = get_close_matches(selector, known, n=3)
            hint = f" Perhaps you meant {' or '.join(close)}." if close else ""
            raise UnknownStepError(
                f"no step or stage is called {selector!r}.{hint} There are: {', '.join(self.steps)}"
            )
        return found

    def ancestors(self, names: Iterable[str]) -> set[str]:
        """Return all steps that the given ones need; of themselves only what another needs."""
        found: set[str] = set()
        todo = [parent for name in names for parent in self.steps[name].inputs.values()]
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += self.steps[name].inputs.values()
        return found

    def descendants(self, names: Iterable[str]) -> set[str]:
        """Return all steps that need one of the given ones, directly or not."""
        sources, found = set(names), set()
        for name, step in self.steps.items():  # in order, so parents are settled first
            if any(parent in sources or parent in found for parent in step.inputs.values()):
                found.add(name)
        return found


def _checked(step: Step) -> Step:
    """Return the step in normal form, with its default placement, after checking it by itself."""
    stage = step.stage
    named = step.name == stage.name or step.name.startswith(f"{stage.name}.")
    if not named and not stage.stands_in:
        raise PipelineError(f"step {step.name}: call it {stage.name} or {stage.name}.VARIANT")
    if not isinstance(step.settings, stage.settings):
        raise PipelineError(
            f"step {step.name}: its settings are a {type(step.settings).__name__},"
            f" stage {stage.name} takes {stage.settings.__name__}"
        )
    # As they are read back, so that settings of one identity (1 and 1.0 for a float) act as one.
    step = replace(step, settings=normal_form(step.settings))
    if stage.placement is None:
        if step.placement is not None:
            raise PipelineError(f"step {step.name}: stage {stage.name} takes no placement")
        return step
    if step.placement is None:
        return replace(step, placement=stage.placement())
    if not isinstance(step.placement, stage.placement):
        raise PipelineError(
            f"step {step.name}: its placement is a {type(step.placement).__name__},"
            f" stage {stage.name} takes {stage.placement.__name__}"
        )
    return step


def _check_inputs(step: Step, by_name: Mapping[str, Step]) -> None:
    stage = step.stage
    missing = sorted(set(stage.inputs) - set(step.inputs))
    if missing:
        raise PipelineError(f"step {step.name}: no step is given for its {', '.join(missing)}")
    for name, source in step.inputs.items():
        if source not in by_name:
            raise PipelineError(f"step {step.name}: its {name} is {source!r}, which is no step")
        accepted = [kind.name for kind in stage.inputs.get(name, stage.more)]
        made = by_name[source].stage.output.name
        if made not in accepted:
            raise PipelineError(
                f"step {step.name}: its {name} is {source}, which makes {made};"
                f" it takes {' or '.join(accepted) or 'no input of that name'}"
            )


def _order(by_name: Mapping[str, Step]) -> list[str]:
    """Return the names so that every step follows its inputs, depth first in the preset's order."""
    try:
        TopologicalSorter({n: set(s.inputs.values()) for n, s in by_name.items()}).prepare()
    except CycleError as error:
        raise PipelineError(f"steps need each other: {' → '.join(error.args[1])}") from error
    ordered: dict[str, None] = {}

    def visit(name: str) -> None:
        for parent in by_name[name].inputs.values():
            if parent not in ordered:
                visit(parent)
        ordered[name] = None

    for name in by_name:
        if name not in ordered:
            visit(name)
    return list(ordered)
