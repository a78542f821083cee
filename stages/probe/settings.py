"""Settings of a probe: what a checkpoint is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Measure = Literal["direct", "traces", "code", "patches", "trajectories"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeSettings:
    """Which questions a checkpoint is asked."""

    # direct: the result after ``assert f(x) ==``. traces: the result by writing the trace, and each
    # frame given those before it (for models that were trained on traces). code, patches,
    # trajectories: losses
    measures: tuple[Measure, ...] = ("direct", "code", "patches")
    # tokens that the model sees at once; what is longer is left out, and counted
    context_length: int = 256
    # longest direct answer, tokens
    output_tokens: int = 16

    def __post_init__(self) -> None:
        """Check names and ranges."""
        if unknown := set(self.measures) - set(MEASURES):
            raise ValueError(f"measures has {sorted(unknown)}: there are {MEASURES}")
        if self.context_length < 16 or self.output_tokens < 1:
            raise ValueError(
                f"context_length={self.context_length}, output_tokens={self.output_tokens}: "
                "at least 16 and 1 are needed"
            )
