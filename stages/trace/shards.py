"""A shard: the unit of the stage's work, made by one worker and kept in one file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol

Row = dict[str, Any]


@dataclass(kw_only=True, slots=True)
class Made:
    """What a shard came to.

    ``rows`` are of `stages.tables.TRACES`, each with its "split" besides; ``dropped`` of
    `stages.tables.DROPPED`. ``tried`` counts inputs by the method that got them, ``cpu_seconds``
    is what each method cost, "check" being the second execution.
    """

    rows: list[Row] = field(default_factory=list)
    dropped: list[Row] = field(default_factory=list)
    tried: Counter[str] = field(default_factory=Counter)
    cpu_seconds: Counter[str] = field(default_factory=Counter)
    engine: str = ""
    layer: str = ""


class Shard(Protocol):
    """Some of the stage's work. It is pickled on its way to a worker."""

    @property
    def name(self) -> str:
        """What is in it, and a digest of that: the same for any number of workers."""

    def trace(self) -> Made:
        """Do the work in a sandbox; the same shard comes to the same rows every time."""
