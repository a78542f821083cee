"""Settings of mid-training."""

from __future__ import annotations

from dataclasses import dataclass, field

from stages.training.settings import (
    MixEntry,
    RopeScalingSettings,
    ScheduleSettings,
    TrainingSettings,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class MidtrainSettings(TrainingSettings):
    """Mid-training on world-model data, continuing pre-training's schedule and optimizer state.

    The paper's mix: 30 % world-model data, 40 % code, 30 % rehearsal of pre-training (5 T tokens).
    The default leans to traces, which need most of the steps at this size; more than a
    fifth of the trace tokens come from real functions.
    """

    mix: tuple[MixEntry, ...] = (
        MixEntry(dataset="program_traces", weight=0.40, long="drop"),
        MixEntry(dataset="function_traces", weight=0.15, long="drop"),
        MixEntry(dataset="trajectories", weight=0.05),
        MixEntry(dataset="code", weight=0.15),
        MixEntry(dataset="asserts", weight=0.25, long="drop"),
    )
    """Where the tokens come from."""
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    """Shared with pre-training; the cosine goes on where that stopped."""
    rope_scaling: RopeScalingSettings = field(default_factory=RopeScalingSettings)
    """Applied from here on."""
