"""The graph of the whole pipeline, and the settings that a preset fills in.

crawl ─→ curate ─┬→ tokenizer (also sees traces) ─→ tokenize.* ─→ pretrain ─→ midtrain ─→ sft ─→ rl
                 ├→ trace ──→ tasks ──↗               each checkpoint: evaluate.* ─→ report
                 └→ forage ────↗
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cluster.dag.step import Preset, Step
from stages import (
    crawl,
    curate,
    evaluate,
    forage,
    midtrain,
    pretrain,
    report,
    rl,
    sft,
    tasks,
    tokenize,
    tokenizer,
    trace,
)
from stages.crawl.settings import CrawlSettings
from stages.curate.settings import CurateSettings
from stages.evaluate.settings import EvaluateSettings
from stages.forage.settings import ForageSettings
from stages.midtrain.settings import MidtrainSettings
from stages.pretrain.settings import PretrainSettings
from stages.report.settings import ReportSettings
from stages.rl.settings import RLPlacement, RLSettings
from stages.sft.settings import SftSettings
from stages.tasks.settings import TaskSettings
from stages.tokenize.settings import TokenizeSettings
from stages.tokenizer.settings import TokenizerSettings
from stages.trace.settings import TraceSettings
from stages.training.settings import SPECIALS, TrainingPlacement
from stages.training.world import WorldError, check_groups, check_workers

DATASETS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "code": ("curate", {"rendering": "code"}),
    "asserts": ("trace", {"rendering": "asserts"}),
    "program_traces": ("trace", {"rendering": "traces", "groups": ("program",)}),
    "function_traces": ("trace", {"rendering": "traces", "groups": ("function",)}),
    "trajectories": ("forage", {"rendering": "trajectories"}),
    "chats": ("tasks", {"rendering": "chats"}),
    "reasoning": ("tasks", {"rendering": "reasoning", "groups": ("trace",)}),
    "tool_use": ("forage", {"rendering": "tool_use"}),
    "prose": ("trace", {"rendering": "prose"}),
    "debugger": ("trace", {"rendering": "debugger"}),
}
"""What `tokenize.NAME` makes: the step whose artifact it reads, and what it makes of it. The two
kinds of trace are apart so that training can weigh them."""

CHATS = ("chats", "reasoning", "tool_use")
"""Data sets of fine-tuning alone; mid-training may use all others."""

EXTRAS = ("prose", "debugger", "reasoning", "tool_use")
"""Data sets that only a recipe which asks for them has."""

TRAINED = ("pretrain", "midtrain", "sft", "rl")
"""The steps that make checkpoints, in order."""


class RecipeError(ValueError):
    """The settings of several stages do not fit together; says which and what to change."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Every stage's settings. ``placements`` maps step names to where and how they run."""

    crawl: CrawlSettings = field(default_factory=CrawlSettings)
    curate: CurateSettings = field(default_factory=CurateSettings)
    trace: TraceSettings = field(default_factory=TraceSettings)
    forage: ForageSettings = field(default_factory=ForageSettings)
    tasks: TaskSettings = field(default_factory=TaskSettings)
    tokenizer: TokenizerSettings = field(default_factory=TokenizerSettings)
    datasets: Mapping[str, TokenizeSettings]
    pretrain: PretrainSettings
    midtrain: MidtrainSettings
    sft: SftSettings
    rl: RLSettings
    evaluations: Mapping[str, EvaluateSettings]
    placements: Mapping[str, Any] = field(default_factory=dict)


def datasets(
    max_tokens: int, *extras: str, **changes: Mapping[str, Any]
) -> dict[str, TokenizeSettings]:
    """Return each data set's settings for a context of ``max_tokens``, with its own changes.

    ``extras`` are those of `EXTRAS` that the recipe has too.
    """
    return {
        name: TokenizeSettings(**{"max_tokens": max_tokens, **made, **changes.get(name, {})})
        for name, (_, made) in DATASETS.items()
        if name not in EXTRAS or name in extras
    }


def evaluations(**settings: Any) -> dict[str, EvaluateSettings]:
    """Return one evaluation per checkpoint: before SFT by completion, afterwards by chat."""
    return {
        name: EvaluateSettings(
            prompt_style="chat" if name in ("sft", "rl") else "completion", **settings
        )
        for name in TRAINED
    }


def full(name: str, drift_policy: Literal["rerun", "ask"], recipe: Recipe) -> Preset:
    """Return the whole pipeline with a recipe's settings."""

    def step(at: str, stage: Any, settings: Any, **inputs: str) -> Step:
        return Step(at, stage, settings, recipe.placements.get(at), inputs)

    def tokens(*names: str) -> dict[str, str]:
        return {n: f"tokenize.{n}" for n in names}

    steps = [
        step("crawl", crawl.STAGE, recipe.crawl),
        step("curate", curate.STAGE, recipe.curate, documents="crawl"),
        step("trace", trace.STAGE, recipe.trace, corpus="curate"),
        step("forage", forage.STAGE, recipe.forage, corpus="curate"),
        step("tokenizer", tokenizer.STAGE, recipe.tokenizer, corpus="curate", traces="trace"),
        step("tasks", tasks.STAGE, recipe.tasks, traces="trace", trajectories="forage"),
    ]
    steps += [
        step(
            f"tokenize.{name}",
            tokenize.STAGE,
            settings,
            source=DATASETS[name][0],
            tokenizer="tokenizer",
        )
        for name, settings in recipe.datasets.items()
    ]
    world = tokens(*(name for name in recipe.datasets if name not in CHATS))
    steps += [
        step(
            "pretrain",
            pretrain.STAGE,
            recipe.pretrain,
            tokenizer="tokenizer",
            **tokens("code", "asserts"),
        ),
        step(
            "midtrain",
            midtrain.STAGE,
            recipe.midtrain,
            checkpoint="pretrain",
            tokenizer="tokenizer",
            **world,
        ),
        step(
            "sft",
            sft.STAGE,
            recipe.sft,
            checkpoint="midtrain",
            tokenizer="tokenizer",
            **tokens(*(entry.dataset for entry in recipe.sft.mix)),
        ),
        step("rl", rl.STAGE, recipe.rl, checkpoint="sft", tasks="tasks"),
    ]
    steps += [
        step(
            f"evaluate.{trained}",
            evaluate.STAGE,
            recipe.evaluations[trained],
            checkpoint=trained,
            corpus="curate",
            traces="trace",
            tasks="tasks",
        )
        for trained in TRAINED
    ]
    everything = {s.name.replace(".", "_"): s.name for s in steps}
    steps.append(step("report", report.STAGE, ReportSettings(), **everything))
    return Preset(name=name, drift_policy=drift_policy, steps=tuple(steps), validate=validate)


def validate(preset: Preset) -> None:
    """Refuse settings that contradict one another across stages, before anything runs.

    Raises `RecipeError`.
    """
    at = {step.name: step.settings for step in preset.steps}
    _check_model(at)
    _check_schedule(at["pretrain"], at["midtrain"])
    _check_contexts(at)
    for step in preset.steps:
        try:
            _check_world(step, at["pretrain"].model.kv_heads)
        except WorldError as error:
            raise RecipeError(f"{step.name}.placement: {error}") from error


def _check_world(step: Step, kv_heads: int) -> None:
    placement = step.placement
    if isinstance(placement, TrainingPlacement):
        check_workers(placement, step.settings)
    elif isinstance(placement, RLPlacement):  # whose batches are of any number of rows
        workers = max(placement.workers, 1)
        check_groups(placement.sequence_parallel, workers=workers, kv_heads=kv_heads)


def _check_model(at: Mapping[str, Any]) -> None:
    model = at["pretrain"].model
    for name in ("midtrain", "sft"):
        if at[name].model != model:
            raise RecipeError(
                f"{name}.model differs from pretrain.model; a stage goes on with the model it is "
                "given, so change all three"
            )
    needed = at["tokenizer"].vocab_size + SPECIALS
    if model.vocab_size < needed:
        raise RecipeError(
            f"model.vocab_size={model.vocab_size}, but the tokenizer has {needed} ids "
            f"(tokenizer.vocab_size + {SPECIALS} specials)"
        )


def _check_schedule(pretraining: PretrainSettings, midtraining: MidtrainSettings) -> None:
    if midtraining.schedule != pretraining.schedule:
        raise RecipeError("pretrain.schedule and midtrain.schedule differ; they share one cosine")
    used = sum(s.steps * s.tokens_per_step for s in (pretraining, midtraining))
    if used > pretraining.schedule.horizon_tokens:
        raise RecipeError(
            f"pretrain and midtrain use {used:,} tokens, the schedule ends at "
            f"{pretraining.schedule.horizon_tokens:,}: lower their steps or raise "
            "schedule.horizon_tokens of both"
        )


def _check_contexts(at: Mapping[str, Any]) -> None:
    trained = at["midtrain"].context_length
    for name, settings in at.items():
        if name.startswith("evaluate.") and settings.context_length > trained:
            raise RecipeError(
                f"{name}.context_length={settings.context_length} is longer than the model was "
                f"trained for ({trained})"
            )
    if at["rl"].max_length > at["sft"].context_length:
        raise RecipeError(
            f"rl.max_length={at['rl'].max_length} is longer than the context that sft trains "
            f"({at['sft'].context_length})"
        )
