"""The published configuration, on the cluster of ray_cluster.yaml."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cluster.dag.step import Preset
from pipelines.presets.common import families, fine_tuning
from pipelines.recipe import Recipe, datasets, evaluations, full
from stages.crawl.settings import CrawlSettings
from stages.forage.settings import ForageSettings
from stages.midtrain.settings import MidtrainSettings
from stages.pretrain.settings import PretrainSettings
from stages.rl.settings import RLPlacement, RLSettings, TaskShare
from stages.sft.settings import SftSettings
from stages.tasks.settings import TaskSettings
from stages.tokenizer.settings import TokenizerSettings
from stages.trace.settings import TracePlacement, TraceSettings
from stages.training.settings import (
    DeviceSettings,
    GuardSettings,
    LengthBucket,
    MixEntry,
    MixGroup,
    ModelSettings,
    OptimizerSettings,
    RopeScalingSettings,
    ScheduleSettings,
    TrainingPlacement,
)

MODEL = ModelSettings(  # Table 2
    hidden_size=6144,
    intermediate_size=21_504,
    layers=64,
    heads=48,
    kv_heads=8,
    head_dim=128,
    sliding_window=8_192,
    rope_theta=1e6,
    initializer_range=0.02,  # HF's; what the paper used is not published
    scale_residual_init=False,
    vocab_size=128_256,  # Llama 3's 128,000 and the 256 specials
)
SCHEDULE = ScheduleSettings(  # §4.2: one cosine over pre- and mid-training
    peak_learning_rate=8e-4,
    final_fraction=0.01,
    warmup_steps=2_000,
    horizon_tokens=13_000_000_000_000,
)
SHARED: dict[str, Any] = {
    "model": MODEL,
    "precision": "bfloat16",  # §6.1 has fp8 in matrix products besides
    "optimizer": OptimizerSettings(beta1=0.9, beta2=0.95, weight_decay=0.1, clip=1.0),  # §4.2
    "z_loss": 0.0,  # the paper has none
    # OLMo's; the paper has none
    "guard": GuardSettings(spike_sigmas=6.0, window=128, max_skips=10),
}
GROUPS = (  # §4.2
    MixGroup(name="world", weight=0.30),
    MixGroup(name="code", weight=0.40),
    MixGroup(name="rehearsal", weight=0.30),
)
# §4.2 has each data set pass 1 to 4 times, chosen by experiments: with a corpus of known size
# `epochs` says so. Within a group the paper gives no shares.
MIX = (
    MixEntry(group="world", dataset="function_traces", weight=0.35, long="drop"),
    MixEntry(group="world", dataset="program_traces", weight=0.15, long="drop"),
    MixEntry(group="world", dataset="prose", weight=0.20, long="drop"),  # §2.2: 75 M of 200 M
    MixEntry(group="world", dataset="trajectories", weight=0.30, long="truncate"),
    MixEntry(group="code", dataset="code", weight=1.0),
    # pre-training's mix
    MixEntry(group="rehearsal", dataset="code", weight=0.6),
    MixEntry(group="rehearsal", dataset="asserts", weight=0.4, long="drop"),
)
H100 = DeviceSettings(
    flops_per_second=989e12,  # bfloat16 without sparsity, by its data sheet
    utilisation=0.4,  # an assumption: the paper has no figure
    memory=80e9,
)
GPUS = TrainingPlacement(
    gpus_per_worker=1,
    cpus_per_worker=16,
    partition_within=8,  # a node's GPUs: weights are gathered inside it
    keep_checkpoints=2,
    max_failures=100,  # thousands of GPUs lose a node every few days, over weeks
    log_every=10,
    device=H100,
)
"""The paper's shapes (§6.1), with sequence parallelism where it has tensor parallelism."""


def cwm_32b() -> Preset:
    """The published configuration (§4, §5), on the cluster of ray_cluster.yaml."""
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
            # §2.3: 3 M trajectories, less similar than 0.5 within a repository, failures kept. The
            # agent here is a script on functions with doctests, so there are as many as it finds
            forage=ForageSettings(
                documents=100_000,
                heldout_documents=1_000,
                functions_per_document=10,
                trajectories_per_function=10,
                mutations_per_function=30,
                keep_docstring=True,
                max_function_chars=20_000,
                max_observation_chars=20_000,
                similarity=0.5,
            ),
            tasks=TaskSettings(
                output_tasks=1_000_000,
                trace_tasks=1_000_000,
                fix_tasks=200_000,
                heldout_tasks=5_000,
                max_context_chars=20_000,
                max_value_chars=2_000,
                max_frames=2_000,
                self_contained=True,
            ),
            datasets=datasets(
                131_072,
                "prose",
                "reasoning",
                "tool_use",
                code={"max_tokens": 8_192},
                asserts={"max_tokens": 8_192},
                # §2.3: the loss of half of the observations is masked
                trajectories={"observation_mask": 0.5},
            ),
            pretrain=PretrainSettings(  # §4.2: 8 T tokens
                steps=8_000_000_000_000 // (8_192 * 1_024),
                context_length=8_192,
                row_tokens=8_192,
                rows_per_step=1_024,  # 8.4 M tokens
                schedule=SCHEDULE,
                **SHARED,
            ),
            midtrain=MidtrainSettings(  # §4.2: 5 T tokens; 30 % CWM data, 40 % code, 30 % rehearsal
                steps=5_000_000_000_000 // (131_072 * 256),
                context_length=131_072,  # throughout: smaller batches did worse on long context
                row_tokens=131_072,
                rows_per_step=256,  # 33.6 M tokens
                schedule=SCHEDULE,
                rope_scaling=RopeScalingSettings(  # §4.1, from pre-training's 8,192
                    factor=16.0, low_freq_factor=1.0, high_freq_factor=4.0
                ),
                groups=GROUPS,
                mix=MIX,
                # §4.2: (0, 16,385], (16,385, 65,537] with less reach for speed, and longer ones
                buckets=(
                    LengthBucket(up_to=16_385),
                    LengthBucket(up_to=65_537, reach=32_768),
                    LengthBucket(up_to=131_072),
                ),
                **SHARED,
            ),
            sft=SftSettings(  # §5.1: 100 B tokens, constant 1e-5 after 1000 steps
                steps=50_000,
                learning_rate=1e-5,
                warmup_steps=1_000,
                context_length=32_768,
                row_tokens=32_768,
                rows_per_step=64,  # 2.1 M tokens
                **fine_tuning(MIX, GROUPS),
                **SHARED,
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
                context_length=131_072,
                output_tokens=4_096,
                reasoning_tokens=65_536,
                fix_tokens=16_384,
                fix_samples=16,
            ),
            # Checkpoints some 20 minutes apart; the rule that keeps more of them is ours.
            placements={
                "trace": TracePlacement(workers=512),
                "pretrain": replace(  # §6.1: 1,024 data-parallel x 2
                    GPUS,
                    workers=2_048,
                    sequence_parallel=2,
                    recompute="selective",
                    checkpoint_every=500,
                    keep_every=100_000,
                    validate_every=10_000,
                ),
                "midtrain": replace(  # §6.1: 256 data-parallel x 8
                    GPUS,
                    workers=2_048,
                    sequence_parallel=8,
                    recompute="full",
                    checkpoint_every=100,
                    keep_every=20_000,
                    validate_every=2_000,
                ),
                "sft": replace(  # §6.1: 32 data-parallel x 8
                    GPUS,
                    workers=256,
                    sequence_parallel=8,
                    recompute="selective",
                    checkpoint_every=250,
                    validate_every=2_500,
                ),
                "rl": RLPlacement(  # SSR's 64 and 448, on the same system; §6.1 has 64 groups of 8
                    workers=64,
                    sequence_parallel=8,
                    gpus_per_worker=1,
                    cpus_per_worker=16,
                    rollout_workers=448,
                    gpus_per_rollout=1,
                    cpus_per_rollout=16,
                    recompute="full",
                    rollout_resource="sandbox",
                ),
            },
        ),
    )
