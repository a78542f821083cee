"""Learning rates: warm-up and one cosine over two stages, or warm-up and a constant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from stages.training.settings import ScheduleSettings


class ScheduleError(ValueError):
    """The stages ask for more tokens than the schedule has; says how many and which setting to
    change."""


class Schedule(Protocol):
    """The learning rate of each step of a stage, counted from 0."""

    def __call__(self, step: int) -> float:
        """Return the learning rate with which step ``step`` of this stage is made."""
        ...


@dataclass(frozen=True, slots=True)
class CosineSchedule:
    """`ScheduleSettings` as seen by one stage, which starts after ``start_step`` and
    ``start_tokens``."""

    settings: ScheduleSettings
    tokens_per_step: int
    start_tokens: int = 0
    start_step: int = 0

    def __call__(self, step: int) -> float:
        """Return the learning rate of step ``step`` of this stage."""
        peak, warmup = self.settings.peak_learning_rate, self.settings.warmup_steps
        done = self.start_step + step
        if done < warmup:
            return peak * (done + 1) / warmup
        tokens = self.start_tokens + step * self.tokens_per_step
        part = min(tokens / self.settings.horizon_tokens, 1.0)
        low = self.settings.final_fraction
        return peak * (low + (1 - low) * (1 + math.cos(math.pi * part)) / 2)


@dataclass(frozen=True, slots=True)
class ConstantSchedule:
    """Linear warm-up, then constant."""

    learning_rate: float
    warmup_steps: int

    def __call__(self, step: int) -> float:
        """Return the learning rate of step ``step``."""
        return self.learning_rate * min(1.0, (step + 1) / max(self.warmup_steps, 1))


def check_horizon(schedule: ScheduleSettings, tokens: int) -> None:
    """Raise `ScheduleError` when ``tokens`` exceed the schedule's horizon."""
    if tokens > schedule.horizon_tokens:
        raise ScheduleError(
            f"{tokens:,} tokens of training, but the learning rate's cosine ends at "
            f"schedule.horizon_tokens = {schedule.horizon_tokens:,}: "
            "make fewer steps, or raise the horizon in both pretrain and midtrain"
        )
