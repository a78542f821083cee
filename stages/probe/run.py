"""Ask a checkpoint all its questions."""

from __future__ import annotations

import json
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from cluster.dag.metrics import log_metrics, write_statistics
from cluster.dag.stage import StepContext
from stages.evaluate.settings import EvaluatePlacement, EvaluateSettings
from stages.evaluate.subject import Subject
from stages.probe import answers, losses
from stages.probe.item import Item, write_items
from stages.probe.settings import ProbeSettings

log = logging.getLogger(__name__)


def run(context: StepContext) -> None:
    """Write ``items.jsonl``; the statistics are the mean of each measure and how many it has."""
    settings: ProbeSettings = context.settings
    placement: EvaluatePlacement = context.placement or EvaluatePlacement()
    torch.set_num_threads(placement.threads)
    subject = Subject.load(
        context.inputs["checkpoint"].path,
        EvaluateSettings(context_length=settings.context_length),
        placement,
    )
    items: list[Item] = []
    seconds = {}
    for name, ask in _measures(subject, context.inputs["questions"].path, settings).items():
        started = time.monotonic()
        items += ask()
        seconds[f"seconds.{name}"] = round(time.monotonic() - started, 3)
    write_items(context.output / "items.jsonl", items)
    values = means(items)
    log.info("%s", {name: round(value, 4) for name, value in values.items()})
    log_metrics(context.metrics_file, values, step=0)
    write_statistics(context.statistics_file, {**values, **seconds})


def means(items: Iterable[Item]) -> dict[str, float]:
    """Return each measure's sum of amounts over its sum of sizes, and ``MEASURE.n``."""
    sums: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for item in items:
        total = sums[item.measure]
        total[0], total[1], total[2] = total[0] + item.amount, total[1] + item.size, total[2] + 1
    found = {name: amount / size for name, (amount, size, _) in sums.items()}
    return found | {f"{name}.n": count for name, (_, _, count) in sums.items()}


def _measures(
    subject: Subject, folder: Path, settings: ProbeSettings
) -> dict[str, Callable[[], Iterable[Item]]]:
    """Return what is to be asked, by name."""
    programs = _read(folder / "programs.jsonl")
    files = {row["sha256"]: row["text"] for row in _read(folder / "code.jsonl")}
    sources = {row["key"]: row["source"] for row in programs}
    patches = _read(folder / "patches.jsonl")
    foraged = _read(folder / "trajectories.jsonl")
    known: dict[str, dict[str, Callable[[], Iterable[Item]]]] = {
        "direct": {"direct": partial(answers.direct, subject, programs, settings)},
        "traces": {
            "by_trace": partial(answers.by_trace, subject, programs, settings),
            "frames": partial(answers.frames, subject, programs),
        },
        "code": {
            "code": partial(losses.code, subject, "code", files),
            "program": partial(losses.code, subject, "program", sources),
        },
        "patches": {"patches": partial(losses.patches, subject, patches, settings)},
        "trajectories": {"trajectories": partial(losses.trajectories, subject, foraged, settings)},
    }
    return {name: ask for measure in settings.measures for name, ask in known[measure].items()}


def _read(file: Path) -> list[dict[str, Any]]:
    with file.open() as lines:
        return [json.loads(line) for line in lines]
