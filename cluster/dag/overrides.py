"""``stage.key=value`` on the command line: which arguments they are, and a preset with them set."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, get_origin, get_type_hints

import tyro

from cluster.dag.errors import DagError
from cluster.dag.identity import read_settings
from cluster.dag.step import Preset, Step

_OVERRIDE = re.compile(r"^(?:--)?([a-z_]\w*(?:\.\w+)+)=(.*)$", re.DOTALL)
_LONG = re.compile(r"^--([a-z_]\w*(?:\.\w+)+)$")


class OverrideError(DagError):
    """An override names no step or makes no sense; says what was perhaps meant."""


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return (other arguments, overrides): ``a.b=1``, ``--a.b=1`` and ``--a.b 1`` are overrides."""
    others: list[str] = []
    found: list[tuple[str, str]] = []
    rest = iter(arguments)
    for argument in rest:
        if match := _OVERRIDE.match(argument):
            found.append((match[1], match[2]))
        elif match := _LONG.match(argument):
            value = next(rest, None)
            if value is None or value.startswith("--"):
                raise OverrideError(f"{argument} has no value; write {match[1]}=VALUE")
            found.append((match[1], value))
        else:
            others.append(argument)
    return others, found


def apply_overrides(preset: Preset, overrides: Sequence[tuple[str, str]], program: str) -> Preset:
    """Return the preset with the overrides applied.

    ``evaluate.rl.n=5`` is the step ``evaluate.rl``; ``evaluate.n=5`` is every step of that stage.
    ``midtrain.placement.workers=2`` is its placement. A wrong field or value ends the program with
    code 2 and a suggestion, as tyro does; a wrong step raises `OverrideError`.
    """
    wanted: dict[str, list[tuple[str, str]]] = {}
    for key, value in overrides:
        for name, field in _targets(preset, key):
            wanted.setdefault(name, []).append((field, value))
    for step in preset.steps:
        if step.name in wanted:
            preset = preset.with_step(_override(step, wanted[step.name], program))
    return preset


def apply_config(preset: Preset, config: Mapping[str, Any]) -> Preset:
    """Return the preset with the settings of a resolved ``config.json`` read back."""
    entries: Mapping[str, Any] = config.get("steps", {})
    for name in entries:
        if name not in [step.name for step in preset.steps]:
            raise OverrideError(f"the configuration has a step {name!r}, the preset has not")
    for step in preset.steps:
        if (entry := entries.get(step.name)) is None:
            continue
        settings = read_settings(step.stage.settings, entry["settings"], step.name)
        placement = step.placement
        if step.stage.placement is not None:
            where = f"{step.name}.placement"
            placement = read_settings(step.stage.placement, entry["placement"], where)
        preset = preset.with_step(dataclasses.replace(step, settings=settings, placement=placement))
    return preset


def explain_settings(step: Step, program: str) -> None:
    """Print every setting and placement value of a step with its meaning; ends the program."""
    unnamed: Any = Annotated[type(step.settings), tyro.conf.arg(name="")]  # no prefix of its own
    fields: list[tuple[str, Any, Any]] = [("settings", unnamed, step.settings)]
    if step.placement is not None:
        fields.append(("placement", type(step.placement), step.placement))
    kind = dataclasses.make_dataclass(
        step.name, [(name, t, dataclasses.field(default=value)) for name, t, value in fields]
    )
    tyro.cli(
        kind,
        args=["--help"],
        prog=program,
        description=f"Give them as {step.name}.NAME=VALUE and {step.name}.placement.NAME=VALUE.",
        config=(tyro.conf.FlagConversionOff,),
        use_underscores=True,
    )


def _targets(preset: Preset, key: str) -> list[tuple[str, str]]:
    """Return the (step, field path) pairs that a dotted key means."""
    names = [step.name for step in preset.steps]
    for name in sorted(names, key=len, reverse=True):
        if key.startswith(f"{name}."):
            return [(name, key.removeprefix(f"{name}."))]
    stage, _, field = key.partition(".")
    variants = [step.name for step in preset.steps if step.stage.name == stage]
    if variants:
        return [(name, field) for name in variants]
    known = list(dict.fromkeys([*names, *(name.partition(".")[0] for name in names)]))
    close = get_close_matches(stage, known, n=3) or known
    suggestions = " or ".join(f"{name}.{field}" for name in close[:3])
    raise OverrideError(f"{key}: no step is called {stage!r}. Perhaps you meant {suggestions}")


def _override(step: Step, fields: Sequence[tuple[str, str]], program: str) -> Step:
    settings = [(f, v) for f, v in fields if not f.startswith("placement.")]
    placement = [(f.removeprefix("placement."), v) for f, v in fields if f.startswith("placement.")]
    if settings:
        parsed = _parse(step.name, step.settings, settings, program)
        step = dataclasses.replace(step, settings=parsed)
    if placement:
        if step.stage.placement is None:
            raise OverrideError(f"{step.name}.placement: stage {step.stage.name} has no placement")
        default = step.placement if step.placement is not None else step.stage.placement()
        parsed = _parse(f"{step.name}.placement", default, placement, program)
        step = dataclasses.replace(step, placement=parsed)
    return step


def _parse(prefix: str, default: Any, fields: Sequence[tuple[str, str]], program: str) -> Any:
    """Let tyro read ``--prefix.field value`` into a copy of ``default``."""
    # tyro names options after nested fields, so the value is nested in one class per prefix part.
    kind: type = type(default)
    value = default
    parts = prefix.split(".")
    for part in reversed(parts):
        field = (part, kind, dataclasses.field(default=value))
        kind = dataclasses.make_dataclass(part, [field], frozen=True)
        value = kind()
    arguments: list[str] = []
    for name, text in fields:
        arguments += [f"--{prefix}.{name}", *_words(type(default), name, text)]
    parsed = tyro.cli(
        kind,
        default=value,
        args=arguments,
        prog=program,
        config=(tyro.conf.FlagConversionOff,),
        use_underscores=True,
    )
    for part in parts:
        parsed = getattr(parsed, part)
    return parsed


def _words(kind: Any, name: str, text: str) -> list[str]:
    """Return a value as tyro's words: of a tuple's ``1,2`` the items, else the text itself."""
    for part in name.split("."):
        hints = get_type_hints(kind) if dataclasses.is_dataclass(kind) else {}
        kind = hints.get(part)
    return text.split(",") if get_origin(kind) in (tuple, list) else [text]
