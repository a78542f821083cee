"""Ten minutes on two CPU cores: everything is real, and the model visibly learns."""

from __future__ import annotations

from typing import Any

from cluster.dag.step import Preset
from pipelines.presets.common import TRAINING
from pipelines.recipe import Recipe, datasets, evaluations, full
from stages.midtrain.settings import MidtrainSettings
from stages.pretrain.settings import PretrainSettings
from stages.rl.settings import RLSettings, TaskShare
from stages.sft.settings import SftSettings
from stages.trace.settings import TraceSettings
from stages.training.settings import ModelSettings, ScheduleSettings, TrainingPlacement


def tiny() -> Preset:
    """Ten minutes on two CPU cores. Sizes are those that learned most in equal wall time."""
    schedule = ScheduleSettings(
        peak_learning_rate=1.5e-3, warmup_steps=150, horizon_tokens=2_176_000
    )
    shape: dict[str, Any] = {"model": ModelSettings(), "context_length": 256, "row_tokens": 256}
    return full(
        "tiny",
        "rerun",
        Recipe(
            # the easiest level: harder programs are beyond a model of this size in these minutes
            trace=TraceSettings(
                program_levels=((0, 22_000),),
                # a minute of two cores; shipped tests give least for each second: a few of them
                max_functions=640,
                test_modules=1,
                tests_per_module=20,
            ),
            datasets=datasets(256),
            pretrain=PretrainSettings(steps=3_000, schedule=schedule, **shape),
            midtrain=MidtrainSettings(steps=5_500, schedule=schedule, **shape),
            sft=SftSettings(steps=2_500, **shape),
            rl=RLSettings(
                steps=60,
                mix=(TaskShare(kind="fix", share=0.7), TaskShare(kind="output", share=0.3)),
            ),
            evaluations=evaluations(context_length=256),
            # One training worker: two learn less in equal wall time at this size, and the other
            # core evaluates meanwhile (benchmarks/tiny_workers.py prints both).
            placements=dict.fromkeys(TRAINING, TrainingPlacement()),
        ),
    )
