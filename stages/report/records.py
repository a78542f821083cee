"""The records of the steps that a report is about: ``artifact.json`` and statistics, in pipeline
order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.dag.metrics import read_statistics
from cluster.dag.stage import Input

STAGES = (
    "crawl",
    "curate",
    "trace",
    "forage",
    "tasks",
    "tokenizer",
    "tokenize",
    "pretrain",
    "midtrain",
    "sft",
    "rl",
    "evaluate",
    "report",
)
"""The order in which stages are shown."""

TRAINING = ("pretrain", "midtrain", "sft", "rl")
"""The stages that make a checkpoint, in order."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step's artifact: its directory, the record beside it ({} when there is none),
    statistics.
    """

    step: str
    kind: str
    path: Path
    record: Mapping[str, Any]
    statistics: Mapping[str, Any]

    @property
    def stage(self) -> str:
        """The stage that the step is of: the first part of its name."""
        return self.step.split(".")[0]

    @property
    def order(self) -> tuple[int, int, str]:
        """Where the step is shown: by stage, then by the checkpoint it is about, then by name."""
        variant = self.step.partition(".")[2]
        checkpoint = TRAINING.index(variant) if variant in TRAINING else len(TRAINING)
        place = STAGES.index(self.stage) if self.stage in STAGES else len(STAGES)
        return place, checkpoint, self.step


def read_records(inputs: Mapping[str, Input]) -> list[StepRecord]:
    """Return the records behind a step's inputs, in pipeline order."""
    return sorted((_read(name, item) for name, item in inputs.items()), key=lambda r: r.order)


def of_kind(records: Iterable[StepRecord], kind: str) -> list[StepRecord]:
    """Return the records of one kind of artifact, in the order given."""
    return [record for record in records if record.kind == kind]


def _read(name: str, item: Input) -> StepRecord:
    file = item.path / "artifact.json"
    record = json.loads(file.read_text()) if file.exists() else {}
    statistics = dict(item.statistics) or read_statistics(item.path / "statistics.json")
    return StepRecord(record.get("step", name), item.kind, item.path, record, statistics)
