"""What a training worker is told: everything it needs, in plain values that any process can be
sent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model.config import CWMConfig
from stages.training.data import open_rows
from stages.training.rows import Rows
from stages.training.schedule import Schedule
from stages.training.settings import TrainingPlacement, TrainingSettings

RESULT = "result.json"
"""What the workers leave in the scratch directory for the step's statistics, at the very end."""

LOGS = ("metrics.jsonl", "skipped.jsonl", "samples.md")
"""What rank 0 appends to beside `Job.metrics_file`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One stage's training."""

    name: str
    """Of the step, for log lines."""
    config: CWMConfig
    settings: TrainingSettings
    placement: TrainingPlacement
    schedule: Schedule
    tokens: dict[str, Path]
    """Token file of every data set of the mix."""
    tokenizer: Path
    """Directory of the tokenizer, whose files go into the checkpoint."""
    output: Path
    """Where the checkpoint is exported to."""
    scratch: Path
    """Where checkpoints to resume from lie; seen by all workers."""
    metrics_file: Path
    stop_file: Path | None = None
    """Appears when training is to save where it is and end."""
    weights: Path | None = None
    """Checkpoint in HF layout to start from; None starts from random weights."""
    optimizer: Path | None = None
    """What `keep_optimizer` left (weights in float32 and AdamW's moments) to start from, before
    `weights`; None starts a new optimizer."""
    keep_optimizer: bool = False
    """Leave the last checkpoint to resume from beside the exported weights."""

    @property
    def checkpoint_every(self) -> int:
        """Steps between checkpoints: as placed, else a kill costs a twentieth of the stage."""
        return self.placement.checkpoint_every or max(1, self.settings.steps // 20)

    def is_asked_to_stop(self) -> bool:
        """Whether training is to end early."""
        return self.stop_file is not None and self.stop_file.exists()

    def rows(self) -> Rows:
        """Return the packed rows of the training data, in order."""
        return open_rows(self.settings, self.tokens)
