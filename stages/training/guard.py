"""Which steps are not taken, because they would do harm.

A step whose loss or gradient norm is not finite is skipped, and where ``spike_sigmas`` says so one
that lies far above the recent ones (OLMo-core's rule, ``SkipStepOptimizer``): weights, the
optimizer's moments and its step count stay as they are, and training goes on with the next data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stages.training.packing import Row
from stages.training.settings import GuardSettings
from stages.training.source import Source

SKIPPED = "skipped.jsonl"
"""File of a checkpoint that names every step which was skipped, and its documents."""
_ENOUGH = 20


class DivergedError(RuntimeError):
    """Too many steps in a row were skipped; says where, and what can be done."""


class Guard:
    """Decides step by step; its numbers are part of what a checkpoint holds.

    All workers must be asked with the same numbers, and then decide alike.
    """

    def __init__(self, settings: GuardSettings, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave; from the beginning where that is empty."""
        self._settings = settings
        self.skipped: int = state.get("skipped", 0)
        """Steps skipped so far."""
        self.in_a_row: int = state.get("in_a_row", 0)
        """Steps skipped since the last one that was taken."""
        self._losses: list[float] = list(state.get("losses", ()))
        self._norms: list[float] = list(state.get("norms", ()))

    def state(self) -> dict[str, Any]:
        """Return its numbers as JSON values."""
        return {
            "skipped": self.skipped,
            "in_a_row": self.in_a_row,
            "losses": list(self._losses),
            "norms": list(self._norms),
        }

    def judge(self, loss: float, norm: float) -> str:
        """Return why a step is to be skipped, "" for one to be taken; counts it."""
        if not (math.isfinite(loss) and math.isfinite(norm)):
            reason = "not finite"
        else:
            reason = "spike" if self._is_spike(loss, norm) else ""
            self._remember(loss, norm)
        self.in_a_row = self.in_a_row + 1 if reason else 0
        self.skipped += bool(reason)
        return reason

    def _is_spike(self, loss: float, norm: float) -> bool:
        window, sigmas = self._settings.window, self._settings.spike_sigmas
        if not sigmas or len(self._losses) < min(window, max(_ENOUGH, window // 2)):
            return False
        return any(
            value > np.mean(recent) + sigmas * np.std(recent, ddof=1)
            for value, recent in ((loss, self._losses), (norm, self._norms))
        )

    def _remember(self, loss: float, norm: float) -> None:
        # spikes too: when a new level stays it is the normal one after a while
        if self._settings.spike_sigmas:
            self._losses = [*self._losses, loss][-self._settings.window :]
            self._norms = [*self._norms, norm][-self._settings.window :]

    def check(self, step: int, record: Path) -> None:
        """Raise `DivergedError` after ``step`` steps where too many in a row were skipped;
        ``record`` is the file that says which."""
        if self.in_a_row >= self._settings.max_skips:
            raise DivergedError(
                f"training diverged: the last {self.in_a_row} steps, up to step {step}, were all "
                f"skipped (guard.max_skips = {self._settings.max_skips}). {record} names "
                "their losses, gradient norms and documents. If the documents are at fault leave "
                "them out; else lower the learning rate or lengthen its warm-up, and where steps "
                "were skipped as spikes raise guard.spike_sigmas"
            )


def record_skip(
    file: Path,
    step: int,
    reason: str,
    values: Mapping[str, float],
    rows: Sequence[Row],
    sources: Sequence[Source],
) -> None:
    """Append a line to ``file``: step, reason, ``values`` and the documents' keys.

    A value that is not finite is written as text ("nan"), for JSON has no number for it.
    """
    line = {
        "step": step,
        "reason": reason,
        **{name: x if math.isfinite(x) else str(x) for name, x in values.items()},
        "documents": documents_of(rows, sources),
    }
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def documents_of(rows: Sequence[Row], sources: Sequence[Source]) -> dict[str, list[str]]:
    """Return the keys of the documents in some rows, by data set, in order."""
    found: dict[str, list[str]] = {}
    for number, source in enumerate(sources):
        starts = [
            start
            for row in rows
            for owner, start in zip(row.source, row.start, strict=True)
            if owner == number
        ]
        if starts:
            keys = source.file.keys
            found[source.name] = [keys[source.file.document_at(start)] for start in starts]
    return found
