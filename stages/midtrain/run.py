"""Mid-training: the pre-trained model learns what code does when it runs."""

from __future__ import annotations

from cluster.dag.stage import StepContext
from stages.midtrain.settings import MidtrainSettings
from stages.training.run import carried_optimizer, run_stage, start_config
from stages.training.schedule import CosineSchedule, check_horizon


def run(context: StepContext) -> None:
    """Go on from pre-training: same optimizer state, same cosine; RoPE is rescaled from here on.

    An imported checkpoint brings no optimizer state: that begins anew. Raises `ScheduleError` when
    both stages together exceed the schedule's horizon.
    """
    settings: MidtrainSettings = context.settings
    config, history = start_config(context, settings.rope_scaling)
    tokens = settings.steps * settings.tokens_per_step
    check_horizon(settings.schedule, history["tokens"] + tokens)
    schedule = CosineSchedule(
        settings.schedule, settings.tokens_per_step, history["tokens"], history["steps"]
    )
    folder = context.inputs["checkpoint"].path.resolve()
    optimizer = carried_optimizer(context)
    run_stage(context, config, schedule, weights=folder, optimizer=optimizer, history=history)
