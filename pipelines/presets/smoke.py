"""The whole graph in about two minutes, for the tests; the numbers mean nothing."""

from __future__ import annotations

from typing import Any

from cluster.dag.step import Preset
from pipelines.recipe import Recipe, datasets, evaluations, full
from stages.crawl.settings import CrawlSettings
from stages.curate.settings import CurateSettings
from stages.forage.settings import ForageSettings
from stages.midtrain.settings import MidtrainSettings
from stages.pretrain.settings import PretrainSettings
from stages.rl.settings import RLSettings, TaskShare
from stages.sft.settings import SftSettings
from stages.tasks.settings import TaskSettings
from stages.tokenizer.settings import TokenizerSettings
from stages.trace.settings import TraceSettings
from stages.training.settings import (
    SPECIALS,
    MixEntry,
    ModelSettings,
    ScheduleSettings,
    TrainingPlacement,
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
            datasets=datasets(256, "reasoning", "tool_use"),
            pretrain=PretrainSettings(steps=12, rows_per_step=2, schedule=schedule, **shape),
            midtrain=MidtrainSettings(steps=24, schedule=schedule, **shape),
            # long enough that a few answers are right: RL needs groups of mixed outcomes
            sft=SftSettings(
                steps=360,
                learning_rate=2e-3,
                warmup_steps=5,
                mix=(
                    MixEntry(dataset="chats", weight=0.68, long="drop"),
                    MixEntry(dataset="reasoning", weight=0.01, long="drop"),
                    MixEntry(dataset="tool_use", weight=0.01),
                    MixEntry(dataset="program_traces", weight=0.15, long="drop"),
                    MixEntry(dataset="asserts", weight=0.10, long="drop"),
                    MixEntry(dataset="code", weight=0.05),
                ),
                **shape,
            ),
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
                reasoning_tokens=64,
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
