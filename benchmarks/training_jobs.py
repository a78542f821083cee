"""Training jobs of given sizes on random tokens, for the benchmarks of training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.config import CWMConfig
from model.tokens import train_tokenizer
from stages.training.estimate import shape_config
from stages.training.job import Job
from stages.training.schedule import Schedule
from stages.training.settings import (
    MixEntry,
    ModelSettings,
    OptimizerSettings,
    TrainingPlacement,
    TrainingSettings,
)
from stages.training.token_file import FULL_LOSS, TokenWriter

MODELS = {
    "tiny": ModelSettings(),
    "5.5 M": ModelSettings(
        hidden_size=256,
        intermediate_size=896,
        layers=4,
        heads=8,
        kv_heads=2,
        head_dim=32,
        sliding_window=64,
        initializer_range=0.02,
        scale_residual_init=False,
        vocab_size=4096,
    ),
}
"""The tiny preset's (0.5 M parameters), and one in which matrix products are most of a step."""
OPTIMIZER = OptimizerSettings(beta2=0.95)
LEARNING_RATE = 1e-4


def constant(step: int) -> float:
    """Return the learning rate of every step."""
    return LEARNING_RATE


def shape_of(model: ModelSettings, context_length: int) -> CWMConfig:
    """Return the model's configuration."""
    return shape_config(
        model, vocab_size=model.vocab_size, context_length=context_length, rope_scaling=None
    )


def write_tokens(folder: Path, model: ModelSettings, lengths: Sequence[int]) -> None:
    """Write a token file of random documents of these lengths, and a tokenizer beside it."""
    random, writer = np.random.default_rng(0), TokenWriter(folder / "tokens")
    for number, length in enumerate(lengths):
        ids = random.integers(0, model.vocab_size, length).tolist()
        writer.add(ids, [FULL_LOSS] * length, str(number))
    writer.close({"rendering": "random", "vocab_size": model.vocab_size})
    train_tokenizer(iter(["0 1 2"]), 256, "json_digits").save(folder / "tokenizer")


def make_job(
    folder: Path,
    model: ModelSettings,
    *,
    context_length: int,
    steps: int,
    name: str = "job",
    rows_per_step: int = 1,
    row_tokens: int | None = None,
    schedule: Schedule = constant,
    placement: TrainingPlacement | None = None,
) -> Job:
    """Return a job on what `write_tokens` left in ``folder``: a metrics line every five steps,
    validation and samples none, checkpoints only at the end."""
    settings = TrainingSettings(
        model=model,
        mix=(MixEntry(dataset="tokens", weight=1.0),),
        steps=steps,
        context_length=context_length,
        row_tokens=row_tokens or context_length,
        rows_per_step=rows_per_step,
        optimizer=OPTIMIZER,
    )
    output = folder / name
    output.mkdir(exist_ok=True)  # by each rank
    quiet = TrainingPlacement(workers=0, checkpoint_every=10**9, log_every=5, samples=0)
    return Job(
        name=name,
        config=shape_of(model, context_length),
        settings=settings,
        placement=placement or quiet,
        schedule=schedule,
        tokens={"tokens": folder / "tokens"},
        tokenizer=folder / "tokenizer",
        output=output,
        scratch=output / "scratch",
        metrics_file=output / "metrics.jsonl",
    )
