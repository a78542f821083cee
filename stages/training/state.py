"""How far training is: with the engine's shards, all that a checkpoint holds."""

from __future__ import annotations

from dataclasses import dataclass

from stages.training.packing import Cursor


@dataclass(slots=True)
class State:
    """A few integers; everything else of the data order follows from the job."""

    step: int = 0
    """Steps made."""
    block: int = 0
    row: int = 0

    @property
    def cursor(self) -> Cursor:
        """The next row."""
        return Cursor(self.block, self.row)
