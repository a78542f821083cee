"""Pre-training: a model from random weights, on code."""

from __future__ import annotations

from cluster.dag.stage import StepContext
from model.tokens import Tokenizer
from stages.pretrain.settings import PretrainSettings
from stages.training.run import model_config, run_stage
from stages.training.schedule import CosineSchedule, check_horizon


def run(context: StepContext) -> None:
    """Train from scratch; the optimizer's state goes along in ``optimizer/`` for mid-training.

    RoPE is plain: it is rescaled when mid-training makes the context longer.
    """
    settings: PretrainSettings = context.settings
    check_horizon(settings.schedule, settings.steps * settings.tokens_per_step)
    config = model_config(
        settings.model,
        context_length=settings.context_length,
        tokenizer=Tokenizer.load(context.inputs["tokenizer"].path),
    )
    schedule = CosineSchedule(settings.schedule, settings.tokens_per_step)
    run_stage(context, config, schedule, keep_optimizer=True)
