"""Supervised fine-tuning: the model learns to answer in chats."""

from __future__ import annotations

from cluster.dag.stage import StepContext
from stages.sft.settings import SftSettings
from stages.training.run import run_stage, start_config
from stages.training.schedule import ConstantSchedule


def run(context: StepContext) -> None:
    """Fine-tune the mid-trained weights with a new optimizer."""
    settings: SftSettings = context.settings
    config, _ = start_config(context)
    schedule = ConstantSchedule(settings.learning_rate, settings.warmup_steps)
    folder = context.inputs["checkpoint"].path.resolve()
    run_stage(context, config, schedule, weights=folder)
