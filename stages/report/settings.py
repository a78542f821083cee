"""Settings of the report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportSettings:
    """What the page is called and when it calls a difference significant."""

    title: str = "open-cwm"
    """Heading of the page."""
    significance: float = 2.0
    """A difference counts when it exceeds this many of its standard errors (2: about 95 %)."""
    examples: int = 6
    """Predictions shown beside the truth, right and wrong ones of each metric in turn."""

    def __post_init__(self) -> None:
        if self.significance <= 0:
            raise ValueError(
                f"ReportSettings.significance = {self.significance!r}; allowed: above 0"
            )
        if self.examples < 0:
            raise ValueError(f"ReportSettings.examples = {self.examples!r}; allowed: at least 0")
