"""Settings of the toy's stages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class KeepSettings:
    divisor: int = 2
    """Numbers that it divides are kept."""
    note: str = ""
    """Changes the identity but not the bytes."""

    def __post_init__(self):
        if self.divisor < 1:
            raise ValueError(f"divisor is {self.divisor}, must be at least 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class TotalSettings:
    factor: float = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class TotalPlacement:
    cpus: float = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class SlowSettings:
    steps: int = 3
    seconds: float = 0.0
    fail: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class GatherSettings:
    title: str = "totals"


def bundles(placement, settings):
    return [{"CPU": placement.cpus}]


def estimate(settings, placement):
    return {"parameters": 12_345_678, "disk bytes": 2_000_000}


def formulas():
    return {"disk bytes": "two [million]", "cost": "none is estimated, so this is not shown"}
