"""Loss on held-out documents, the same rows every time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from cluster.deepspeed import all_sum
from stages.training.job import Job
from stages.training.packing import Row, pack
from stages.training.sequence_parallel import SequenceParallel
from stages.training.settings import MixEntry
from stages.training.source import EmptySourceError, Source
from stages.training.step import read, shares
from stages.training.token_file import TokenFile

HELD_OUT = "heldout"
"""Subdirectory of a token file that holds documents never trained on."""


class Validation:
    """The held-out rows of a job's data sets; those without held-out documents are left out."""

    def __init__(self, job: Job, sources: Sequence[Source], parallel: SequenceParallel) -> None:
        self._parallel = parallel
        self.files: dict[str, TokenFile] = {}
        self.rows: dict[str, list[Row]] = {}
        for source in sources:
            folder = source.file.folder / HELD_OUT
            if folder.is_dir():
                file = TokenFile(folder)
                self.files[source.name] = file
                self.rows[source.name] = _rows(file, source.entry, job)

    def run(self, engine: Any) -> dict[str, float]:
        """Return the mean loss per data set and over all of them, in nats per weighted token.

        The engine must be in evaluation mode; called by all workers.
        """
        sums = {
            name: all_sum(self._share(engine, rows, self.files[name]))
            for name, rows in self.rows.items()
        }
        losses = {
            f"validation_loss.{name}": loss / weight
            for name, (loss, weight) in sums.items()
            if weight
        }
        if losses:
            total = [sum(column) for column in zip(*sums.values(), strict=True)]
            losses["validation_loss"] = total[0] / total[1]
        return losses

    def _share(self, engine: Any, rows: list[Row], file: TokenFile) -> list[float]:
        """Return this worker's summed loss and weight; all workers make equally many passes."""
        loss = weight = 0.0
        for part in shares(rows, self._parallel, micro_rows=1):
            batch = read(part, [file], self._parallel)
            with torch.no_grad():
                mean = float(engine(batch.ids, batch.packing, batch.labels, batch.weights))
            share = float(batch.weights.sum())
            loss, weight = loss + mean * share, weight + share
        return [loss, weight]


def _rows(file: TokenFile, entry: MixEntry, job: Job) -> list[Row]:
    """Pack the first held-out pieces into at most ``validation_rows`` rows."""
    try:
        source = Source(file, entry, job.settings.context_length)
    except EmptySourceError:
        return []
    room = job.settings.row_tokens
    enough = int(job.placement.validation_rows * room / source.mean_tokens) + 1
    pieces = source.pieces(np.arange(min(enough, len(source))))
    packed = pack((pieces.end - pieces.start).tolist(), room)
    starts, ends, document_ends = (
        column.tolist() for column in (pieces.start, pieces.end, pieces.document_end)
    )
    return [
        Row(
            source=(0,) * len(items),
            start=tuple(starts[i] for i in items),
            end=tuple(ends[i] for i in items),
            document_end=tuple(document_ends[i] for i in items),
        )
        for items in packed[: job.placement.validation_rows]
    ]
