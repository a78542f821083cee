"""What every rank of the trainer is told, in plain values that any process can be sent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stages.rl.domain import Prompts, WorkerSpec
from stages.rl.settings import RLPlacement, RLSettings


@dataclass(frozen=True, slots=True)
class Job:
    """One run of RL."""

    spec: WorkerSpec
    placement: RLPlacement
    prompts: Prompts
    output: Path
    """Folder of the artifact: the final checkpoint, metrics.jsonl and statistics.json."""
    scratch: Path
    """Folder that outlives a kill, seen by all ranks."""

    @property
    def settings(self) -> RLSettings:
        """The stage's settings."""
        return self.spec.settings

    @property
    def metrics_file(self) -> Path:
        """Where rank 0 logs."""
        return self.output / "metrics.jsonl"
