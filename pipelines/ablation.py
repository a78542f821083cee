#!/usr/bin/env python
"""Do traces lift output prediction? And forage data an agent's? The paper's question, §7.1, small.

python pipelines/ablation.py                      with the preset tiny: two hours on two cores
python pipelines/ablation.py --preset smoke       the whole graph in minutes; the numbers mean
                                                  nothing
python pipelines/ablation.py --until compare.scarce
python pipelines/ablation.py --help               the rest, with examples

From one pre-trained checkpoint per seed go two arms with as many tokens each: one of them with
traces. `docs/ablation.md` has the protocol and what came out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that it runs from anywhere, installed or not

from cluster.dag.command_line import main  # noqa: E402
from cluster.dag.executor import Outcome  # noqa: E402
from cluster.dag.step import Preset, Step  # noqa: E402
from stages import (  # noqa: E402
    compare,
    crawl,
    curate,
    forage,
    midtrain,
    pretrain,
    probe,
    questions,
    tokenize,
    tokenizer,
    trace,
)
from stages.compare.settings import CompareSettings, Contrast  # noqa: E402
from stages.crawl.settings import CrawlSettings  # noqa: E402
from stages.curate.settings import CurateSettings  # noqa: E402
from stages.forage.settings import ForageSettings  # noqa: E402
from stages.midtrain.settings import MidtrainSettings  # noqa: E402
from stages.pretrain.settings import PretrainSettings  # noqa: E402
from stages.probe.settings import Measure, ProbeSettings  # noqa: E402
from stages.questions.settings import QuestionSettings  # noqa: E402
from stages.tokenize.settings import TokenizeSettings  # noqa: E402
from stages.tokenizer.settings import TokenizerSettings  # noqa: E402
from stages.trace.settings import TraceSettings  # noqa: E402
from stages.training.settings import (  # noqa: E402
    SPECIALS,
    MixEntry,
    ModelSettings,
    ScheduleSettings,
    TrainingPlacement,
)

Mix = Mapping[str, float]

BASE: Mix = {"code": 0.25, "scarce": 0.75}
"""Shares of the tokens in pre-training: files, and generated functions, a tenth with an assert."""

ARMS: Mapping[str, Mapping[str, Mix]] = {
    "scarce": {
        "off": {"code": 0.1, "scarce": 0.9},
        "on": {"code": 0.1, "scarce": 0.4, "traces": 0.25, "traced": 0.25},
    },
    "forage": {
        "off": {"code": 0.9, "scarce": 0.1},
        "on": {"code": 0.4, "scarce": 0.1, "trajectories": 0.5},
    },
    "dense": {
        "off": {"code": 0.1, "dense": 0.9},
        "on": {"code": 0.1, "dense": 0.4, "traces": 0.25, "traced": 0.25},
    },
}
"""Shares of the tokens in the second stage, by study and arm; half of those with traces, or with
trajectories, is that data."""

LONG: Mapping[str, Literal["split", "truncate", "drop"]] = {
    "code": "split",
    "trajectories": "truncate",
}
"""What happens to documents that are longer than the context, where they are not left out."""

PRIOR_DEVIATION = 0.032
"""Over seeds, of the primary difference of an earlier try with two seeds (+0.088 and +0.133)."""

PLACEMENT = TrainingPlacement(workers=0, checkpoint_every=2_500, log_every=100)
"""Each training in its step's own process, so that two of them run side by side on two cores."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How much of everything."""

    seeds: Mapping[str, int]
    """Checkpoints of each study."""
    steps: int
    """Of pre-training."""
    second_steps: int
    """With or without traces."""
    forage_steps: int
    """With or without trajectories, of ``forage_context`` tokens each."""
    warmup_steps: int = 150
    forage_context: int = 1_536
    model: ModelSettings = field(default_factory=ModelSettings)
    crawl: CrawlSettings = field(default_factory=CrawlSettings)
    curate: CurateSettings = field(default_factory=CurateSettings)
    trace: TraceSettings
    forage: ForageSettings
    tokenizer: TokenizerSettings = field(default_factory=TokenizerSettings)
    questions: QuestionSettings = field(default_factory=QuestionSettings)


def datasets(context: int, forage_context: int) -> dict[str, tuple[str, TokenizeSettings]]:
    """Return what ``tokenize.NAME`` makes: of which step's artifact, and what."""

    def made(source: str, max_tokens: int = context, **settings: Any) -> Any:
        return source, TokenizeSettings(max_tokens=max_tokens, **settings)

    return {
        "code": made("curate", rendering="code"),
        "scarce": made("trace", rendering="asserts", assert_share=0.1),
        "dense": made("trace", rendering="asserts"),
        "traces": made("trace", rendering="traces"),
        "traced": made("trace", rendering="traced_asserts"),
        "trajectories": made("forage", max_tokens=forage_context, rendering="trajectories"),
    }


def mix(shares: Mix) -> tuple[MixEntry, ...]:
    """Return shares as the training stages take them."""
    return tuple(
        MixEntry(dataset=name, weight=share, long=LONG.get(name, "drop"))
        for name, share in shares.items()
    )


def tokens(shares: Mix) -> dict[str, str]:
    """Return the inputs that a mix needs."""
    return {name: f"tokenize.{name}" for name in shares}


def contrasts(study: str) -> tuple[Contrast, ...]:
    """Return the differences that a study looks at, the primary one first."""

    def arms(
        label: str, measure: str, tag: str = "", better: Literal["higher", "lower"] = "higher"
    ) -> Contrast:
        return Contrast(
            label=label, measure=measure, arm="on", against_arm="off", tag=tag, better=better
        )

    losses = (
        arms("held-out code, bits per byte", "code", better="lower"),
        arms("held-out programs, bits per byte", "program", better="lower"),
        arms("patch of a program, nats per token", "patch_program", better="lower"),
    )
    if study == "forage":
        return (
            arms("an agent's trajectory, nats per token", "trajectory", better="lower"),
            arms("patch of a function, nats per token", "patch_function", better="lower"),
            *losses,
        )

    def written(label: str, against_arm: str, tag: str = "") -> Contrast:
        return Contrast(
            label=label,
            measure="by_trace",
            arm="on",
            against_measure="direct",
            against_arm=against_arm,
            tag=tag,
        )

    found = []
    for tag, words in (
        ("", ""),
        ("not_argument", ", no argument is the answer"),
        ("no_twin", ", no twin in training"),
        ("number", ", numbers"),
        ("string", ", strings"),
    ):
        found += [
            written(f"by trace (on) - direct (off){words}", "off", tag),
            written(f"by trace (on) - direct (on){words}", "on", tag),
            arms(f"direct (on) - direct (off){words}", "direct", tag),
        ]
    return (*found, *losses)


def ablation(name: str, size: Size) -> Preset:
    """Return the whole experiment."""
    steps = [
        Step("crawl", crawl.STAGE, size.crawl),
        Step("curate", curate.STAGE, size.curate, inputs={"documents": "crawl"}),
        Step("trace", trace.STAGE, size.trace, inputs={"corpus": "curate"}),
        Step("forage", forage.STAGE, size.forage, inputs={"corpus": "curate"}),
        Step(
            "tokenizer",
            tokenizer.STAGE,
            size.tokenizer,
            inputs={"corpus": "curate", "traces": "trace"},
        ),
        Step(
            "questions",
            questions.STAGE,
            size.questions,
            inputs={"corpus": "curate", "traces": "trace", "trajectories": "forage"},
        ),
    ]
    context = PretrainSettings().context_length
    for each, (source, settings) in datasets(context, size.forage_context).items():
        inputs = {"source": source, "tokenizer": "tokenizer"}
        steps.append(Step(f"tokenize.{each}", tokenize.STAGE, settings, inputs=inputs))
    steps += [_base(size, seed) for seed in range(max(size.seeds.values()))]
    for study in ARMS:
        steps += _study(study, size)
    return Preset(name=name, drift_policy="rerun", steps=tuple(steps))


def _schedule(size: Size, study: str) -> ScheduleSettings:
    """One cosine over both stages; it ends where the second one does."""
    first = size.steps * PretrainSettings().tokens_per_step
    second = size.second_steps * PretrainSettings().tokens_per_step
    if study == "forage":
        second = size.forage_steps * size.forage_context
    return ScheduleSettings(warmup_steps=size.warmup_steps, horizon_tokens=first + second)


def _base(size: Size, seed: int) -> Step:
    settings = PretrainSettings(
        steps=size.steps,
        model=size.model,
        mix=mix(BASE),
        schedule=_schedule(size, "scarce"),
        seed=seed,
    )
    inputs = {"tokenizer": "tokenizer", **tokens(BASE)}
    return Step(f"pretrain.{seed}", pretrain.STAGE, settings, PLACEMENT, inputs)


def _study(study: str, size: Size) -> list[Step]:
    steps, probes = [], {}
    for seed in range(size.seeds[study]):
        for arm in ARMS[study]:
            name = f"{study}_{arm}_{seed}"
            probes[f"{arm}_{seed}"] = f"probe.{name}"
            steps += [_arm(study, arm, size, seed), _probe(study, arm, size, name)]
    settings = CompareSettings(
        title=f"With and without {'trajectories' if study == 'forage' else 'traces'}: {study}",
        contrasts=contrasts(study),
        prior_deviation=0.0 if study == "forage" else PRIOR_DEVIATION,
    )
    steps.append(Step(f"compare.{study}", compare.STAGE, settings, inputs=probes))
    return steps


def _arm(study: str, arm: str, size: Size, seed: int) -> Step:
    shares = ARMS[study][arm]
    lengths: dict[str, Any] = {}
    if study == "forage":
        lengths = {"context_length": size.forage_context, "row_tokens": size.forage_context}
    settings = MidtrainSettings(
        steps=size.forage_steps if study == "forage" else size.second_steps,
        model=size.model,
        mix=mix(shares),
        schedule=_schedule(size, study),
        seed=seed,
        **lengths,
    )
    inputs = {"checkpoint": f"pretrain.{seed}", "tokenizer": "tokenizer", **tokens(shares)}
    return Step(f"midtrain.{study}_{arm}_{seed}", midtrain.STAGE, settings, PLACEMENT, inputs)


def _probe(study: str, arm: str, size: Size, name: str) -> Step:
    measures: Sequence[Measure] = ("direct", "code", "patches")
    settings = ProbeSettings(measures=tuple(measures))
    if study == "forage":
        settings = ProbeSettings(
            measures=("code", "patches", "trajectories"), context_length=size.forage_context
        )
    elif arm == "on":
        settings = ProbeSettings(measures=(*measures, "traces"))
    inputs = {"checkpoint": f"midtrain.{name}", "questions": "questions"}
    return Step(f"probe.{name}", probe.STAGE, settings, inputs=inputs)


def tiny() -> Preset:
    """Two hours on two CPU cores. The training values are those of `pipelines.presets.tiny`."""
    return ablation(
        "tiny",
        Size(
            seeds={"scarce": 6, "forage": 3, "dense": 6},
            steps=2_000,
            second_steps=4_000,
            forage_steps=250,
            trace=TraceSettings(
                program_levels=((0, 40_000),), max_functions=0, heldout_fraction=0.1
            ),
            forage=ForageSettings(documents=150, heldout_documents=40),
        ),
    )


def smoke() -> Preset:
    """The whole graph as small as it goes, with two seeds where two are needed."""
    return ablation(
        "smoke",
        Size(
            seeds={"scarce": 2, "forage": 1, "dense": 1},
            steps=4,
            second_steps=4,
            forage_steps=2,
            warmup_steps=2,
            forage_context=1_024,
            model=ModelSettings(
                hidden_size=32,
                intermediate_size=64,
                layers=1,
                heads=2,
                kv_heads=1,
                head_dim=16,
                vocab_size=512 + SPECIALS,
            ),
            crawl=CrawlSettings(
                stdlib_bytes=900_000, distribution_bytes=150_000, total_bytes=1_500_000
            ),
            curate=CurateSettings(heldout_fraction=0.3),
            trace=TraceSettings(program_levels=((0, 300),), max_functions=0, heldout_fraction=0.3),
            forage=ForageSettings(documents=6, heldout_documents=6, mutations_per_function=5),
            tokenizer=TokenizerSettings(
                vocab_size=512,
                sample_bytes=300_000,
                trace_sample_bytes=100_000,
                measure_bytes=50_000,
            ),
            questions=QuestionSettings(programs=12, patches=6, code_bytes=4_000),
        ),
    )


PRESETS: dict[str, Callable[[], Preset]] = {"smoke": smoke, "tiny": tiny}
"""What ``--preset`` accepts."""


def results(outcomes: Mapping[str, Outcome], console: Console) -> None:
    """Print the tables of the comparisons that there are."""
    for name, outcome in outcomes.items():
        if name.startswith("compare.") and outcome.artifact is not None:
            folder = outcome.artifact.path
            console.print((folder / "comparison.md").read_text(), highlight=False, markup=False)
            console.print(f"the report: {folder / 'index.html'}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(
        main(
            PRESETS,
            pipeline="ablation",
            program="python pipelines/ablation.py",
            root=ROOT,
            about="Do traces lift output prediction, and forage data an agent's trajectories?",
            closing=results,
        )
    )
