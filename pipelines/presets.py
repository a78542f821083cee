"""The four scales at which the pipeline runs, each a function that returns every stage's settings.

smoke     the whole graph in about two minutes, for the tests; the numbers mean nothing
tiny      ten minutes on two CPU cores: everything is real, and the model visibly learns
one_gpu   a model of about 1 B parameters on one 80 GB GPU
cwm_32b   the published configuration on the cluster of ray_cluster.yaml

Numbers with a section sign come from the paper, arXiv 2510.02387.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cluster.dag.step import Preset
from pipelines.recipe import Recipe, datasets, evaluations, full
from stages.crawl.settings import CrawlSettings
from stages.curate.settings import CurateSettings
from stages.forage.settings import ForageSettings
from stages.midtrain.settings import MidtrainSettings
from stages.pretrain.settings import PretrainSettings
from stages.rl.settings import RLPlacement, RLSettings, TaskShare
from stages.sft.settings import SftSettings
from stages.tasks.settings import TaskSettings
from stages.tokenizer.settings import TokenizerSettings
from stages.trace.programs import FAMILIES
from stages.trace.settings import TracePlacement, TraceSettings
from stages.training.settings import (
    SPECIALS,
    MixEntry,
    ModelSettings,
    OptimizerSettings,
    ScheduleSettings,
    TrainingPlacement,
)


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


def smoke() -> Preset:
    """The whole graph as small as it goes, with two training workers where it starts."""
    schedule = ScheduleSettings(peak_learning_rate=1.5e-3, warmup_steps=5, horizon_tokens=40_960)
    shape: dict[str, Any] = {
        "model": ModelSettings(
            hidden_size=32,
            intermediate_size=64,
            layers=2,
            heads=2,
            kv_heads=1,
            head_dim=16,
            sliding_window=64,
            vocab_size=512 + SPECIALS,
        ),
        "context_length": 256,
        "row_tokens": 256,
    }
    return full(
        "smoke",
        "rerun",
        Recipe(
            crawl=CrawlSettings(
                stdlib_bytes=900_000, distribution_bytes=150_000, total_bytes=2_500_000
            ),
            trace=TraceSettings(
                program_levels=((0, 300),),
                heldout_fraction=0.1,
                max_functions=24,
                max_functions_per_origin=4,
                min_functions_per_origin=1,
                mutations_per_call=2,
                fuzz_tries=8,
                test_modules=1,
                tests_per_module=5,
            ),
            curate=CurateSettings(
                heldout_fraction=0.3
            ),  # a small corpus needs held-out doctests too
            forage=ForageSettings(documents=8, heldout_documents=8, mutations_per_function=5),
            tasks=TaskSettings(output_tasks=80, trace_tasks=60, fix_tasks=40, heldout_tasks=24),
            tokenizer=TokenizerSettings(
                vocab_size=512,
                sample_bytes=300_000,
                trace_sample_bytes=100_000,
                measure_bytes=50_000,
            ),
            datasets=datasets(256),
            pretrain=PretrainSettings(steps=12, rows_per_step=2, schedule=schedule, **shape),
            midtrain=MidtrainSettings(steps=24, schedule=schedule, **shape),
            # long enough that a few answers are right: RL needs groups of mixed outcomes
            sft=SftSettings(steps=300, learning_rate=2e-3, warmup_steps=5, **shape),
            rl=RLSettings(
                steps=3,
                mix=(TaskShare(kind="output", share=0.8), TaskShare(kind="fix", share=0.2)),
                samples_per_prompt=16,
                prompts_per_request=8,
                batch_tokens=64,
                max_requests_per_batch=4,
                max_answer_tokens=16,
                max_staleness=0,
                checkpoint_every=2,
                validation_prompts=8,
                validation_samples=2,
            ),
            evaluations=evaluations(
                context_length=256,
                code_bytes=20_000,
                trigram_bytes=200_000,
                frame_traces=16,
                free_traces=4,
                output_tasks=8,
                trace_tasks=4,
                fix_tasks=4,
                fix_samples=2,
                examples=2,
            ),
            placements={
                "pretrain": TrainingPlacement(workers=2, checkpoint_every=6, log_every=4),
                "midtrain": TrainingPlacement(workers=1, checkpoint_every=6, log_every=4),
                "sft": TrainingPlacement(workers=1, checkpoint_every=150, log_every=25),
            },
        ),
    )


def one_gpu() -> Preset:
    """About 1 B parameters on one 80 GB GPU, on what the crawl finds on that machine.

    Tokens are what the interpreter's own packages hold in a few epochs; a corpus of one's own
    allows more. The rate is a little below the paper's fit at this compute (§4.3), whose optimum
    is broad.
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
        "optimizer": OptimizerSettings(beta2=0.95),
    }
    schedule = ScheduleSettings(
        peak_learning_rate=3e-3, warmup_steps=50, horizon_tokens=64 * 8_192 * 900
    )
    gpu = TrainingPlacement(
        workers=1, gpus_per_worker=1, cpus_per_worker=4, micro_rows=2, recompute="full"
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
                output_tasks=50_000, trace_tasks=50_000, fix_tasks=20_000, heldout_tasks=1_000
            ),
            datasets=datasets(8_192, "prose", "debugger"),
            pretrain=PretrainSettings(steps=600, schedule=schedule, **shape),
            midtrain=MidtrainSettings(
                steps=300,
                schedule=schedule,
                mix=(
                    MixEntry(dataset="program_traces", weight=0.30, long="drop"),
                    MixEntry(dataset="function_traces", weight=0.15, long="drop"),
                    MixEntry(dataset="prose", weight=0.10, long="drop"),
                    MixEntry(dataset="debugger", weight=0.05, long="drop"),
                    MixEntry(dataset="trajectories", weight=0.05),
                    MixEntry(dataset="code", weight=0.15),
                    MixEntry(dataset="asserts", weight=0.20, long="drop"),
                ),
                **shape,
            ),
            sft=SftSettings(steps=200, learning_rate=1e-5, warmup_steps=20, **shape),
            rl=RLSettings(
                steps=200,
                max_length=8_192,
                max_answer_tokens=4_096,
                batch_tokens=131_072,
                learning_rate=3e-6,
                warmup_steps=30,
                precision="bfloat16",
            ),
            evaluations=evaluations(context_length=8_192, output_tokens=256, fix_tokens=1_024),
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
                    recompute=True,
                ),
            },
        ),
    )


def cwm_32b() -> Preset:
    """The published configuration (§4, §5), on the cluster of ray_cluster.yaml."""
    shape: dict[str, Any] = {
        "model": ModelSettings(  # Table 2
            hidden_size=6144,
            intermediate_size=21_504,
            layers=64,
            heads=48,
            kv_heads=8,
            head_dim=128,
            sliding_window=8_192,
            rope_theta=1e6,
            initializer_range=0.02,
            scale_residual_init=False,
            vocab_size=128_256,
        ),
        "precision": "bfloat16",
        "optimizer": OptimizerSettings(beta1=0.9, beta2=0.95, weight_decay=0.1, clip=1.0),  # §4.2
    }
    # §4.2: 2000 steps of warm-up, then one cosine over 13 T tokens from 8e-4 to a hundredth of it.
    schedule = ScheduleSettings(
        peak_learning_rate=8e-4,
        final_fraction=0.01,
        warmup_steps=2_000,
        horizon_tokens=13_000_000_000_000,
    )
    pretraining: dict[str, Any] = {
        "context_length": 8_192,
        "row_tokens": 8_192,
        "rows_per_step": 1_024,
    }  # 8.4 M
    midtraining: dict[str, Any] = {
        "context_length": 131_072,
        "row_tokens": 131_072,
        "rows_per_step": 256,
    }  # 33.6 M
    finetuning: dict[str, Any] = {
        "context_length": 32_768,
        "row_tokens": 32_768,
        "rows_per_step": 64,
    }  # 2.1 M
    gpu = TrainingPlacement(gpus_per_worker=1, cpus_per_worker=16, recompute="full")
    return full(
        "cwm_32b",
        "ask",
        Recipe(
            crawl=CrawlSettings(
                stdlib_bytes=40_000_000, distribution_bytes=80_000_000, total_bytes=10_000_000_000
            ),
            # §2.2 has 120 M functions, and drops more than 10,000 line events or 1 MB. Repositories
            # are named by who has them: trace.repositories
            trace=TraceSettings(
                program_families=families(200_000),
                max_functions=10_000_000,
                max_functions_per_origin=100_000,
                max_source_chars=20_000,
                # fewer than usual: rows of a shard, some MB each, are in memory at once
                functions_per_shard=40,
                calls_per_function=16,
                mutations_per_call=16,
                events=10_000,
                bytes=1_000_000,
                value_chars=200,
                calls=1_000_000,
                # far beyond a million calls
                function_cpu_seconds=120,
                function_wall_seconds=300.0,
                # a frame is some 40 tokens, a context 131,072
                episode_events=3_000,
            ),
            tokenizer=TokenizerSettings(
                vocab_size=128_000,
                pre_tokenizer="llama3",
                sample_bytes=2_000_000_000,
                trace_sample_bytes=1_000_000_000,
            ),
            tasks=TaskSettings(
                output_tasks=1_000_000,
                trace_tasks=1_000_000,
                fix_tasks=200_000,
                heldout_tasks=5_000,
                max_context_chars=20_000,
                max_value_chars=2_000,
                max_frames=2_000,
            ),
            datasets=datasets(
                131_072, "prose", code={"max_tokens": 8_192}, asserts={"max_tokens": 8_192}
            ),
            pretrain=PretrainSettings(  # §4.2: 8 T tokens
                steps=8_000_000_000_000 // (8_192 * 1_024),
                schedule=schedule,
                **shape,
                **pretraining,
            ),
            midtrain=MidtrainSettings(  # §4.2: 5 T tokens; 30 % CWM data, 40 % code, 30 % rehearsal
                steps=5_000_000_000_000 // (131_072 * 256),
                schedule=schedule,
                mix=(
                    MixEntry(dataset="function_traces", weight=0.10, long="drop"),
                    MixEntry(dataset="program_traces", weight=0.05, long="drop"),
                    MixEntry(dataset="prose", weight=0.05, long="drop"),  # §2.2: 75 M of 200 M
                    MixEntry(dataset="trajectories", weight=0.10, long="truncate"),
                    MixEntry(dataset="code", weight=0.55),
                    MixEntry(dataset="asserts", weight=0.15, long="drop"),
                ),
                **shape,
                **midtraining,
            ),
            sft=SftSettings(  # §5.1: 100 B tokens, constant 1e-5 after 1000 steps
                steps=50_000, learning_rate=1e-5, warmup_steps=1_000, **shape, **finetuning
            ),
            rl=RLSettings(  # §5.2; group size and rate are those of SSR on the same system
                steps=20_000,
                samples_per_prompt=8,
                max_length=32_768,
                max_answer_tokens=16_384,
                batch_tokens=8_388_608,
                learning_rate=3e-6,
                warmup_steps=30,
                max_staleness=8,
                precision="bfloat16",
                mix=(TaskShare(kind="fix", share=0.4), TaskShare(kind="output", share=0.6)),
            ),
            evaluations=evaluations(
                context_length=131_072, output_tokens=4_096, fix_tokens=16_384, fix_samples=16
            ),
            # ZeRO-3 alone: a worker holds whole rows, so a stage has at most rows_per_step workers.
            placements={
                "trace": TracePlacement(workers=512),
                "pretrain": replace(gpu, workers=1_024),
                "midtrain": replace(gpu, workers=256),
                "sft": replace(gpu, workers=64),
                "rl": RLPlacement(
                    workers=64,
                    gpus_per_worker=1,
                    cpus_per_worker=16,
                    rollout_workers=448,
                    gpus_per_rollout=1,
                    cpus_per_rollout=16,
                    recompute=True,
                    rollout_resource="sandbox",
                ),
            },
        ),
    )


def families(count: int) -> tuple[tuple[str, float, int], ...]:
    """Return ``count`` generated programs of each family at five difficulties; half as many
    permutations of each of four lengths besides, to measure by length."""
    programs = [
        (family, difficulty, count)
        for family in FAMILIES
        for difficulty in (0.1, 0.3, 0.5, 0.7, 0.9)
    ]
    programs += [("permutation", steps / 96, count // 2) for steps in (8, 16, 32, 64)]
    return tuple(programs)


TRAINING = ("pretrain", "midtrain", "sft")
"""The steps that take a `TrainingPlacement`."""

PRESETS: dict[str, Callable[[], Preset]] = {
    "smoke": smoke,
    "tiny": tiny,
    "one_gpu": one_gpu,
    "cwm_32b": cwm_32b,
}
"""What ``--preset`` accepts."""
