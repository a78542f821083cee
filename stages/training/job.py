"""What a training worker is told: everything it needs, in plain values that any process can be
sent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model.config import CWMConfig
from stages.training.order import Order
from stages.training.packing import Rows
from stages.training.schedule import Schedule
from stages.training.settings import TrainingPlacement, TrainingSettings
from stages.training.source import Source
from stages.training.token_file import TokenFile

RESULT = "result.json"
"""What the workers leave in the scratch directory for the step's statistics, at the very end."""


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
    """Universal checkpoint (weights in float32 and AdamW's moments) to start from, before
    `weights`."""
    keep_optimizer: bool = False
    """Leave the optimizer's state, as a universal checkpoint, beside the exported weights."""

    def is_asked_to_stop(self) -> bool:
        """Whether training is to end early."""
        return self.stop_file is not None and self.stop_file.exists()

    def rows(self) -> Rows:
        """Return the packed rows of the training data, in order."""
        settings = self.settings
        entries = [entry for entry in settings.mix if entry.weight > 0]
        sources = [
            Source(TokenFile(self.tokens[entry.dataset]), entry, settings.context_length)
            for entry in entries
        ]
        order = Order(sources, [entry.weight for entry in entries], settings.seed)
        return Rows(order, settings.row_tokens)
