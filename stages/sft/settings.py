"""Settings of supervised fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass

from stages.training.settings import MixEntry, TrainingSettings, require


@dataclass(frozen=True, kw_only=True, slots=True)
class SftSettings(TrainingSettings):
    """Fine-tuning on chats with 30 % rehearsal; constant learning rate after the warm-up.

    The paper: 100 B tokens, 1000 steps of warm-up to 1e-5, rows of 32k tokens.
    """

    mix: tuple[MixEntry, ...] = (
        MixEntry(dataset="chats", weight=0.70, long="drop"),
        MixEntry(dataset="program_traces", weight=0.15, long="drop"),
        MixEntry(dataset="asserts", weight=0.10, long="drop"),
        MixEntry(dataset="code", weight=0.05),
    )
    """Where the tokens come from; all but chats is rehearsal of earlier stages."""
    learning_rate: float = 5e-4
    """After the warm-up; constant leaves a high rate for RL, and a cosine was no better (paper)."""
    warmup_steps: int = 50
    """Optimizer steps of linear warm-up [1000]."""

    def __post_init__(self) -> None:
        # slots=True makes a new class, which zero-argument super() would not know
        TrainingSettings.__post_init__(self)
        require(self.learning_rate > 0, self, "learning_rate", "above 0")
        require(self.warmup_steps >= 0, self, "warmup_steps", "at least 0")
