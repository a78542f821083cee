"""Settings of a comparison: which differences are looked at, and how sure one can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Contrast:
    """A difference: a measure of one arm, less a measure of an arm, on the same questions."""

    # what the table calls it
    label: str
    # what is measured, of which arm (inputs are called ARM_SEED)
    measure: str
    arm: str
    # less this; "" for the same measure
    against_measure: str = ""
    against_arm: str
    # only questions with this tag; "" for all
    tag: str = ""
    # which way is good
    better: Literal["higher", "lower"] = "higher"


@dataclass(frozen=True, kw_only=True, slots=True)
class CompareSettings:
    """What is compared."""

    # heading of the report
    title: str = "Comparison"
    # the differences, in the order of the report; the first is the primary one
    contrasts: tuple[Contrast, ...] = ()
    # standard deviation over seeds of the primary difference that was expected beforehand; 0 where
    # nothing was known
    prior_deviation: float = 0.0
    # resamples of the bootstrap
    resamples: int = 10_000
    # two-sided level of tests and intervals, and the power of the minimum detectable effect
    level: float = 0.05
    power: float = 0.8
    # of the bootstrap
    seed: int = 0

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.resamples < 100:
            raise ValueError(f"resamples={self.resamples}: at least 100 are needed")
        for name in ("level", "power"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: between 0 and 1")
        if self.prior_deviation < 0:
            raise ValueError(f"prior_deviation={self.prior_deviation}: 0 or more")
