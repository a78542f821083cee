"""A model of about 1 B parameters on one 80 GB GPU."""

from __future__ import annotations

from typing import Any

from cluster.dag.step import Preset
from pipelines.presets.common import TRAINING, families, fine_tuning
from pipelines.recipe import Recipe, datasets, evaluations, full
from stages.crawl.settings import CrawlSettings
from stages.midtrain.settings import MidtrainSettings
from stages.pretrain.settings import PretrainSettings
from stages.rl.settings import RLPlacement, RLSettings
from stages.sft.settings import SftSettings
from stages.tasks.settings import TaskSettings
from stages.tokenizer.settings import TokenizerSettings
from stages.trace.settings import TracePlacement, TraceSettings
from stages.training.settings import (
    SPECIALS,
    DeviceSettings,
    GuardSettings,
    MixEntry,
    ModelSettings,
    OptimizerSettings,
    ScheduleSettings,
    TrainingPlacement,
)


def one_gpu() -> Preset:
    """About 1 B parameters on one 80 GB GPU, on what the crawl finds on that machine.

    Tokens are what the interpreter's own packages hold in a few epochs; a corpus of one's own
    allows more. At this compute, 3.3e18 FLOP, the paper's law (§4.3; stages.training.scaling_law)
    has a batch of 0.57 M tokens, near the 0.52 M here, and a rate of 1e-2. That rate is of models a
    twentieth as large on as many more tokens, so it is not taken: larger ones want less.
    """
    shape: dict[str, Any] = {
        "model": ModelSettings(
            hidden_size=2048,
            intermediate_size=7168,
            layers=16,
            heads=16,
            kv_heads=8,
            head_dim=128,
            sliding_window=2048,
            rope_theta=1e6,
            initializer_range=0.02,
            vocab_size=32_000 + SPECIALS,
        ),
        "context_length": 8_192,
        "row_tokens": 8_192,
        "rows_per_step": 64,
        "precision": "bfloat16",
        "optimizer": OptimizerSettings(beta2=0.95),  # §4.2
        "guard": GuardSettings(spike_sigmas=6.0),
    }
    schedule = ScheduleSettings(
        peak_learning_rate=3e-3, warmup_steps=50, horizon_tokens=64 * 8_192 * 900
    )
    mix = (
        MixEntry(dataset="program_traces", weight=0.30, long="drop"),
        MixEntry(dataset="function_traces", weight=0.15, long="drop"),
        MixEntry(dataset="prose", weight=0.10, long="drop"),
        MixEntry(dataset="debugger", weight=0.05, long="drop"),
        MixEntry(dataset="trajectories", weight=0.05),
        MixEntry(dataset="code", weight=0.15),
        MixEntry(dataset="asserts", weight=0.20, long="drop"),
    )
    gpu = TrainingPlacement(
        workers=1,
        gpus_per_worker=1,
        cpus_per_worker=4,
        micro_rows=2,
        recompute="selective",
        device=DeviceSettings(  # an H100's bfloat16 without sparsity; an A100 has 312e12
            flops_per_second=989e12, utilisation=0.4, memory=80e9
        ),
    )
    return full(
        "one_gpu",
        "ask",
        Recipe(
            crawl=CrawlSettings(
                stdlib_bytes=40_000_000, distribution_bytes=80_000_000, total_bytes=1_000_000_000
            ),
            # a frame is some 40 tokens: what is longer than these budgets fits no context
            trace=TraceSettings(
                program_families=families(2_000),
                max_functions=100_000,
                max_functions_per_origin=10_000,
                max_source_chars=8_000,
                mutations_per_call=8,
                events=1_000,
                value_chars=100,
                calls=100_000,
                episode_events=250,
            ),
            tokenizer=TokenizerSettings(
                vocab_size=32_000,
                pre_tokenizer="llama3",
                sample_bytes=200_000_000,
                trace_sample_bytes=100_000_000,
            ),
            tasks=TaskSettings(
                output_tasks=50_000,
                trace_tasks=50_000,
                fix_tasks=20_000,
                heldout_tasks=1_000,
                self_contained=True,
            ),
            datasets=datasets(8_192, "prose", "debugger", "reasoning", "tool_use"),
            pretrain=PretrainSettings(steps=600, schedule=schedule, **shape),
            midtrain=MidtrainSettings(
                steps=300,
                schedule=schedule,
                mix=mix,
                **shape,
            ),
            sft=SftSettings(
                steps=200, learning_rate=1e-5, warmup_steps=20, **fine_tuning(mix), **shape
            ),
            rl=RLSettings(
                steps=200,
                max_length=8_192,
                max_answer_tokens=4_096,
                batch_tokens=131_072,
                learning_rate=3e-6,
                warmup_steps=30,
                precision="bfloat16",
            ),
            evaluations=evaluations(
                context_length=8_192, output_tokens=256, reasoning_tokens=4_096, fix_tokens=1_024
            ),
            placements=dict.fromkeys(TRAINING, gpu)
            | {"trace": TracePlacement(workers=4)}
            | {
                "rl": RLPlacement(
                    workers=1,
                    gpus_per_worker=0.6,
                    cpus_per_worker=4,
                    rollout_workers=1,
                    gpus_per_rollout=0.4,
                    cpus_per_rollout=2,
                    recompute="full",
                ),
            },
        ),
    )
