"""``--import`` of checkpoints and tokenizers: an external folder becomes a step of the pipeline.

A checkpoint brings its tokenizer: the data must be made of the tokens that it was trained on, so
the tokenizer's step is replaced along with it. Everything that can be seen without reading the
weights is checked here, before anything runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cluster.dag.imports import ImportRefusedError, StandIns
from cluster.dag.step import Preset, Step
from model.checkpoint import CheckpointError, load_config, open_tensors
from model.config import CWMConfig
from model.tokens import Tokenizer, TokenizerFileError
from stages.imported import CHECKPOINT_STAGE, TOKENIZER_STAGE
from stages.imported.folder import licence, origin
from stages.imported.settings import (
    ImportedCheckpointSettings,
    ImportedTokenizerSettings,
    ImportPlacement,
)
from stages.kinds import HISTORY
from stages.training.run import (
    CheckpointMismatchError,
    differences,
    model_config,
    scaled_rope,
)
from stages.training.schedule import ScheduleError, check_horizon
from stages.training.settings import ModelSettings

TOKENIZER = "tokenizer"
"""The step whose tokenizer makes all data."""

_SETTINGS = {
    "hidden_size": "hidden_size",
    "intermediate_size": "intermediate_size",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "num_key_value_heads": "kv_heads",
    "head_dim": "head_dim",
    "sliding_window": "sliding_window",
    "rope_theta": "rope_theta",
    "vocab_size": "vocab_size",
}
"""The setting of `ModelSettings` behind a field of `CWMConfig`; other fields have none."""


def import_steps(preset: Preset, folders: Mapping[str, Path]) -> StandIns:
    """Return the steps that take ``folders``' place in the pipeline, and what to say about them.

    Raises `ImportRefusedError` for a step that makes neither checkpoint nor tokenizer, and for a
    folder that is damaged, incomplete, in another layout, of another shape than the settings', or
    that was trained longer than the schedule of what follows has room for.
    """
    for name, folder in folders.items():
        kind = _step(preset, name).stage.output.name
        if kind not in ("checkpoint", "tokenizer"):
            raise ImportRefusedError(
                f"--import {name}={folder}: {name} makes {kind}; what can be imported is a "
                "checkpoint (for pretrain, midtrain, sft, rl) or a tokenizer"
            )
    tokenizers = {name: _tokenizer(name, folder) for name, folder in folders.items()}
    if len({tokenizer.digest for tokenizer in tokenizers.values()}) > 1:
        raise ImportRefusedError(
            f"{', '.join(folders)} have different tokenizers: one run has one, so import folders "
            "whose models were trained with the same"
        )
    steps: dict[str, Step] = {}
    notes: dict[str, str] = {}
    for name, folder in folders.items():
        step, note = _tokenizer_step(name, folder), "all data is made with it"
        if _step(preset, name).stage.output.name == "checkpoint":
            step, note = _checkpoint(preset, name, folder, tokenizers[name])
        steps[name] = step
        notes[name] = f"{origin(folder)}, licence {licence(folder)}; {note}"
    if TOKENIZER not in steps:
        name, folder = next(iter(folders.items()))
        steps[TOKENIZER] = _tokenizer_step(TOKENIZER, folder)
        notes[TOKENIZER] = f"that of {name}, which all data is made with"
    return StandIns(tuple(steps.values()), notes)


def _step(preset: Preset, name: str) -> Step:
    return next(step for step in preset.steps if step.name == name)


def _tokenizer_step(name: str, folder: Path) -> Step:
    placement = ImportPlacement(folder=str(folder))
    return Step(name, TOKENIZER_STAGE, ImportedTokenizerSettings(), placement)


def _tokenizer(name: str, folder: Path) -> Tokenizer:
    try:
        return Tokenizer.load(folder)
    except TokenizerFileError as error:
        if hint := _meta_layout(folder):
            raise ImportRefusedError(f"--import {name}={folder}: {hint}") from error
        raise ImportRefusedError(
            f"--import {name}={folder}: {error}; a checkpoint needs the tokenizer that it was "
            "trained with beside it"
        ) from error


def _meta_layout(folder: Path) -> str:
    """Return what to do about a folder in Meta's own layout; "" for another."""
    if not (folder / "params.json").is_file() or (folder / "config.json").is_file():
        return ""
    return (
        "it is in Meta's layout; convert it first with "
        f"python -m model.meta_layout {folder} {folder}-hf"
    )


def _checkpoint(preset: Preset, name: str, folder: Path, tokenizer: Tokenizer) -> tuple[Step, str]:
    """Return the step that takes a checkpoint's place, and who says how much it was trained."""
    if hint := _meta_layout(folder):
        raise ImportRefusedError(f"--import {name}={folder}: {hint}")
    try:
        config = load_config(folder)
        _check_shape(preset, name, folder, config, tokenizer)
        open_tensors(folder).dtype()
        settings = _trained(preset, name, folder)
        _check_next(preset, name, config, settings)
    except (CheckpointError, CheckpointMismatchError, ScheduleError) as error:
        raise ImportRefusedError(f"--import {name}={folder}: {error}") from error
    step = Step(name, CHECKPOINT_STAGE, settings, ImportPlacement(folder=str(folder)))
    who = {"settings": f"the settings of {name}", "training.json": "its training.json"}
    return step, f"trained on {settings.tokens:,} tokens by {who[settings.trained_by]}"


def _models(preset: Preset) -> dict[str, ModelSettings]:
    """Return the model settings of every step that has some; they are all equal."""
    found = {step.name: getattr(step.settings, "model", None) for step in preset.steps}
    return {name: model for name, model in found.items() if isinstance(model, ModelSettings)}


def _check_shape(
    preset: Preset, name: str, folder: Path, config: CWMConfig, tokenizer: Tokenizer
) -> None:
    models = _models(preset)
    model = next(iter(models.values()))
    shaped = model_config(
        replace(model, vocab_size=max(model.vocab_size, tokenizer.vocab_size)),
        context_length=config.max_position_embeddings,
        tokenizer=tokenizer,
    )
    if config.vocab_size != tokenizer.vocab_size:
        raise CheckpointMismatchError(
            f"config.json has vocab_size {config.vocab_size}, but the tokenizer beside it has "
            f"{tokenizer.vocab_size} ids: they are not of one model"
        )
    differing = differences(shaped, config)
    if replace(config, layer_types=()).layer_types == config.layer_types:
        differing = [d for d in differing if d[0] != "layer_types"]  # follows from the layers
    if model.vocab_size < tokenizer.vocab_size:
        differing.append(("vocab_size", tokenizer.vocab_size, model.vocab_size))
    if not differing:
        return
    words = ", ".join(f"{n} is {found}, not {wanted}" for n, found, wanted in differing)
    fields = [(_SETTINGS[n], found) for n, found, _ in differing if n in _SETTINGS]
    if len(fields) < len(differing):
        raise CheckpointMismatchError(f"no setting makes a model of its shape: {words}")
    change = " ".join(f"{at}.model.{n}={found}" for at in models for n, found in fields)
    raise CheckpointMismatchError(
        f"its shape is another than the settings' ({words}); to go on from it give {change}"
    )


def _trained(preset: Preset, name: str, folder: Path) -> ImportedCheckpointSettings:
    """Return how much a checkpoint was trained: what the folder says, else the settings."""
    file = folder / HISTORY
    if not file.is_file():
        return ImportedCheckpointSettings(**_history(preset, _step(preset, name)))
    try:
        record = json.loads(file.read_text())
        given = {n: record[n] for n in ("steps", "tokens", "context_length", "precision")}
        whole = all(type(given[n]) is int for n in ("steps", "tokens", "context_length"))
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file} does not say steps, tokens and context_length") from error
    if not whole:
        raise CheckpointError(f"{file}: steps, tokens and context_length must be whole numbers")
    return ImportedCheckpointSettings(**given, trained_by="training.json")


def _history(preset: Preset, step: Step) -> dict[str, Any]:
    """Return what a step's ``training.json`` would say: stages with one schedule add up."""
    trained = step
    while not hasattr(trained.settings, "tokens_per_step"):  # RL: as the checkpoint it starts from
        trained = _step(preset, trained.inputs["checkpoint"])
    settings = trained.settings
    chain = [trained.settings, *_earlier(preset, trained)]
    return {
        "steps": sum(s.steps for s in chain),
        "tokens": sum(s.steps * s.tokens_per_step for s in chain),
        "context_length": settings.context_length,
        "precision": settings.precision,
    }


def _earlier(preset: Preset, step: Step) -> Iterator[Any]:
    """Yield the settings of the steps before one under the same schedule."""
    if not hasattr(step.settings, "schedule") or "checkpoint" not in step.inputs:
        return
    before = _step(preset, step.inputs["checkpoint"])
    yield before.settings
    yield from _earlier(preset, before)


def _check_next(
    preset: Preset, name: str, config: CWMConfig, trained: ImportedCheckpointSettings
) -> None:
    """Check what the next stage under the same schedule would ask of the checkpoint."""
    for step in preset.steps:
        settings = step.settings
        if step.inputs.get("checkpoint") == name and hasattr(settings, "rope_scaling"):
            scaled_rope(config, settings.rope_scaling, trained.context_length)
            tokens = settings.steps * settings.tokens_per_step
            check_horizon(settings.schedule, trained.tokens + tokens)
