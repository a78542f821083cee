"""Settings of pre-training."""

from __future__ import annotations

from dataclasses import dataclass, field

from stages.training.settings import MixEntry, ScheduleSettings, TrainingSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainSettings(TrainingSettings):
    """Pre-training from random weights: plain code, and asserts about it (paper: 8 T tokens)."""

    mix: tuple[MixEntry, ...] = (
        MixEntry(dataset="code", weight=0.6),
        MixEntry(dataset="asserts", weight=0.4, long="drop"),
    )
    """Where the tokens come from."""
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    """Shared with mid-training."""
