"""What the three training stages' functions share: from a step's context to a job and back."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cluster.dag.metrics import write_statistics
from cluster.dag.stage import StepContext
from model.config import CWMConfig, RopeScaling, parameter_count
from model.tokens import Tokenizer
from stages.kinds import HISTORY, IMPORT, OPTIMIZER
from stages.training.data import planned_epochs
from stages.training.estimate import shape_config, spent
from stages.training.job import RESULT, Job
from stages.training.mix import MANY_EPOCHS, used
from stages.training.progress import progress
from stages.training.rows import Rows
from stages.training.schedule import Schedule
from stages.training.settings import ModelSettings, RopeScalingSettings, TrainingSettings

log = logging.getLogger(__name__)

_ANY = frozenset(
    {
        "rope_scaling",
        "max_position_embeddings",
        "initializer_range",
        "scale_residual_init",
        "eos_token_ids",
        "pad_token_id",
    }
)
"""Fields of a configuration in which a stage and the checkpoint it starts from may differ: how
weights were started, what ends a generation, and how long the context is."""


class CheckpointMismatchError(ValueError):
    """A stage's inputs or settings do not fit the checkpoint or tokenizer; says what differs."""


def model_config(
    settings: ModelSettings,
    *,
    context_length: int,
    tokenizer: Tokenizer,
    rope_scaling: RopeScaling | None = None,
) -> CWMConfig:
    """Return the configuration of a model with these settings for this tokenizer."""
    if tokenizer.vocab_size > settings.vocab_size:
        raise CheckpointMismatchError(
            f"the tokenizer has {tokenizer.vocab_size} tokens, but model.vocab_size is "
            f"{settings.vocab_size}: raise it in every training stage"
        )
    return shape_config(
        settings,
        vocab_size=tokenizer.vocab_size,
        context_length=context_length,
        rope_scaling=rope_scaling,
        bos_token_id=tokenizer.special("bos"),
        eos_token_ids=tuple(tokenizer.special(name) for name in ("eos", "eom", "eot")),
        pad_token_id=tokenizer.special("pad"),
    )


def start_config(
    context: StepContext, scaling: RopeScalingSettings | None = None
) -> tuple[CWMConfig, dict[str, Any]]:
    """Return the configuration to go on with from the step's checkpoint, and that one's history.

    ``scaling`` switches scaled RoPE on, with the checkpoint's context as the original one. Raises
    `CheckpointMismatchError` when settings and checkpoint disagree.
    """
    folder, settings = context.inputs["checkpoint"].path, context.settings
    found = CWMConfig.from_hf(json.loads((folder / "config.json").read_text()))
    history: dict[str, Any] = json.loads((folder / HISTORY).read_text())
    tokenizer = Tokenizer.load(context.inputs["tokenizer"].path)
    if tokenizer.digest != Tokenizer.load(folder).digest:
        raise CheckpointMismatchError(
            f"{context.step}: the checkpoint {folder} was trained with another tokenizer than the "
            "one that made this stage's data; import them together, from the same folder"
        )
    config = model_config(
        settings.model,
        context_length=settings.context_length,
        tokenizer=tokenizer,
        rope_scaling=scaled_rope(found, scaling, history["context_length"]),
    )
    if differing := differences(config, found):
        details = ", ".join(f"{n} {is_} -> {wanted}" for n, is_, wanted in differing)
        raise CheckpointMismatchError(
            f"{context.step}: the checkpoint {folder} has another shape than the settings "
            f"({details}); a model's shape is set in pretrain, and must be repeated here"
        )
    return config, history


def differences(wanted: CWMConfig, found: CWMConfig) -> list[tuple[str, Any, Any]]:
    """Return (field, value found, value wanted) of what decides which weights fit and what they
    compute."""
    left, right = asdict(found), asdict(wanted)
    return [(n, left[n], right[n]) for n in left if n not in _ANY and left[n] != right[n]]


def scaled_rope(
    found: CWMConfig, scaling: RopeScalingSettings | None, original_context: int
) -> RopeScaling | None:
    """Return the RoPE scaling of a stage that starts from a checkpoint with configuration
    ``found``, which was trained on ``original_context`` tokens.

    Raises `CheckpointMismatchError` when the checkpoint has another one already: weights that were
    trained with one scaling compute something else with another.
    """
    if scaling is None:
        return found.rope_scaling
    wanted = RopeScaling(
        factor=scaling.factor,
        original_context=original_context,
        low_freq_factor=scaling.low_freq_factor,
        high_freq_factor=scaling.high_freq_factor,
    )
    if found.rope_scaling not in (None, wanted):
        raise CheckpointMismatchError(
            f"the checkpoint's RoPE is scaled already ({found.rope_scaling}), and the stage's "
            f"settings would make it {wanted}: set rope_scaling, and the context_length that the "
            "checkpoint started from, to its own"
        )
    return wanted


def carried_optimizer(context: StepContext) -> Path | None:
    """Return the optimizer's state that the step's checkpoint brings along; None for one that was
    imported, from which training goes on with a new optimizer.

    Raises `CheckpointMismatchError` when a checkpoint of this pipeline has none.
    """
    folder = context.inputs["checkpoint"].path.resolve()
    if (folder / OPTIMIZER).is_dir():
        return folder / OPTIMIZER
    if not (folder / IMPORT).is_file():
        raise CheckpointMismatchError(
            f"{context.step}: the checkpoint {folder} has no {OPTIMIZER}/ to go on from; "
            "mid-training takes pre-training's own output, or an imported one"
        )
    log.warning("the checkpoint was imported: it goes on with a new optimizer, without moments")
    return None


def run_stage(
    context: StepContext,
    config: CWMConfig,
    schedule: Schedule,
    *,
    weights: Path | None = None,
    optimizer: Path | None = None,
    history: Mapping[str, Any] | None = None,
    keep_optimizer: bool = False,
) -> None:
    """Train a step: fill ``context.output`` with the checkpoint, metrics and statistics.

    ``history`` is the earlier stages' under the same schedule (`start_config`); None starts anew.
    """
    from stages.training.worker import run_job  # imports torch

    settings: TrainingSettings = context.settings
    start = {"weights": weights, "optimizer": optimizer, "keep_optimizer": keep_optimizer}
    job = _job(context, config=config, schedule=schedule, **start)
    rows = job.rows()  # an empty data set is named here, before any worker starts
    for name, epochs in planned_epochs(settings, rows).items():
        if epochs > MANY_EPOCHS:
            log.warning("%s: %.1f passes are many; %d at most are usual", name, epochs, MANY_EPOCHS)
    started, cpu = time.perf_counter(), time.process_time()
    with progress(job):
        elsewhere = run_job(job)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    (context.output / HISTORY).write_text(_history(settings, history) + "\n")
    result = json.loads((job.scratch / RESULT).read_text())
    # of other processes; in this one they are its own
    elsewhere_seconds = result["worker_cpu_seconds"] if elsewhere else 0.0
    statistics = {
        "parameters": parameter_count(config),
        "steps": settings.steps,
        "tokens": settings.steps * settings.tokens_per_step,
        "vocab_size": config.vocab_size,
        "optimizer": "carried over" if optimizer else "new",
        "wall_seconds": seconds,
        **spent(context.placement, seconds),
        **result,
        "cpu_seconds": cpu + elsewhere_seconds,
        "worker_cpu_seconds": elsewhere_seconds,
        **_sources(rows),
    }
    write_statistics(context.statistics_file, statistics)


def _job(context: StepContext, **given: Any) -> Job:
    """Return what the workers are told: the step's own, and what the stage has ``given``."""
    return Job(
        name=context.step,
        settings=context.settings,
        placement=context.placement,
        tokens=_token_files(context),
        tokenizer=context.inputs["tokenizer"].path.resolve(),
        output=context.output.resolve(),
        scratch=context.scratch.resolve(),
        metrics_file=context.metrics_file.resolve(),
        stop_file=context.stop_file.resolve() if context.stop_file else None,
        **given,
    )


def _history(settings: TrainingSettings, earlier: Mapping[str, Any] | None) -> str:
    """Return what ``training.json`` says: stages under one schedule add up."""
    before = earlier or {"steps": 0, "tokens": 0}
    record = {
        "steps": before["steps"] + settings.steps,
        "tokens": before["tokens"] + settings.steps * settings.tokens_per_step,
        "context_length": settings.context_length,
        "precision": settings.precision,
    }
    return json.dumps(record, indent=1, sort_keys=True)


def _sources(rows: Rows) -> dict[str, int]:
    """Return what every data set holds, and how much of it fits."""
    found = {}
    for source in rows.sources:
        found[f"documents.{source.name}"] = len(source.file)
        found[f"documents_fit.{source.name}"] = source.fitting
        found[f"tokens.{source.name}"] = int(source.file.meta["tokens"])
    return found


def _token_files(context: StepContext) -> dict[str, Path]:
    """Return the token file of every data set that the mix draws from."""
    vocab_size = Tokenizer.load(context.inputs["tokenizer"].path).vocab_size
    files = {}
    for entry in used(context.settings.mix):
        if entry.dataset not in context.inputs:
            raise CheckpointMismatchError(
                f"{context.step}: mix draws from {entry.dataset!r}, which is no input of the step; "
                f"inputs: {', '.join(sorted(context.inputs))}"
            )
        folder = context.inputs[entry.dataset].path.resolve()
        found = json.loads((folder / "meta.json").read_text())["vocab_size"]
        if found != vocab_size:
            raise CheckpointMismatchError(
                f"{context.step}: {entry.dataset} was made with a vocabulary of {found} tokens, "
                f"but the tokenizer has {vocab_size}"
            )
        files[entry.dataset] = folder
    return files
