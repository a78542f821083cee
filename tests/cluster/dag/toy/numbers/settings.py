"""Settings of numbers."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class NumbersSettings:
    count: int = 10
