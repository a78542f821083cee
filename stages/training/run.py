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
    earlier = history or {"steps": 0, "tokens": 0}
    job = Job(
        name=context.step,
        config=config,
        settings=settings,
        placement=context.placement,
        schedule=schedule,
        tokens=_token_files(context),
        tokenizer=context.inputs["tokenizer"].path.resolve(),
        output=context.output.resolve(),
        scratch=context.scratch.resolve(),
        metrics_file=context.metrics_file.resolve(),
        stop_file=context.stop_file.resolve() if context.stop_file else None,
        weights=weights,
        optimizer=optimizer,
        keep_optimizer=keep_optimizer,
    )
    rows = job.rows()  # an empty data set is named here, before any worker starts
    for name, epochs in planned_epochs(settings, rows).items():
        if epochs > MANY_EPOCHS:
            log.warning("%s: %.1f passes are many; %d at most are usual", name, epochs, MANY_EPOCHS)
    started, cpu = time.perf_counter(), time.process_time()
    with progress(job):
        elsewhere = run_job(job)
    tokens = settings.steps * settings.tokens_per_step
    record = {
        "steps": earlier["steps"] + settings.steps,
        "tokens": earlier["tokens"] + tokens,
        "context_length": settings.context_length,
        "precision": settings.precision,
    }
    (context.output / HISTORY).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    result = json.loads((job.scratch / RESULT).read_text())
    statistics = {
        "parameters": parameter_count(config),
        "steps": settings.steps,
        "tokens": tokens,
        "vocab_size": config.vocab_size,
        "optimizer": "carried over" if optimizer else "new",
        "wall_seconds": (seconds := time.perf_counter() - started),
        **spent(context.placement, seconds),
        "cpu_seconds": time.process_time()
        - cpu
        + (result["worker_cpu_seconds"] if elsewhere else 0.0),
        **result,
    }
    for source in rows.sources:
        statistics[f"documents.{source.name}"] = len(source.file)
        statistics[f"documents_fit.{source.name}"] = source.fitting
        statistics[f"tokens.{source.name}"] = int(source.file.meta["tokens"])
    write_statistics(context.statistics_file, statistics)


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
