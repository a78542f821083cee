"""Loss on held-out documents, the same rows every time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from cluster.deepspeed import all_sum
from cluster.devices import device
from stages.training.batch import build_batch
from stages.training.job import Job
from stages.training.packing import Row, pack
from stages.training.settings import MixEntry
from stages.training.source import EmptySourceError, Source
from stages.training.token_file import TokenFile

HELD_OUT = "heldout"
"""Subdirectory of a token file that holds documents never trained on."""


class Validation:
    """The held-out rows of a job's data sets; those without held-out documents are left out."""

    def __init__(self, job: Job, sources: Sequence[Source]) -> None:
        self.files: dict[str, TokenFile] = {}
        self.rows: dict[str, list[Row]] = {}
        entries = {entry.dataset: entry for entry in job.settings.mix}
        for source in sources:
            folder = source.file.folder / HELD_OUT
            if folder.is_dir():
                file = TokenFile(folder)
                self.files[source.name] = file
                self.rows[source.name] = _rows(file, entries[source.name], job)

    def run(self, engine: Any) -> dict[str, float]:
        """Return the mean loss per data set and over all of them, in nats per weighted token."""
        sums: dict[str, list[float]] = {}
        engine.eval()
        for name, rows in self.rows.items():
            sums[name] = all_sum(self._share(engine, rows, self.files[name]))
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
        workers, rank = dist.get_world_size(), dist.get_rank()
        loss = weight = 0.0
        for first in range(0, len(rows), workers):
            mine = first + rank
            batch = build_batch([rows[min(mine, len(rows) - 1)]], [file], device())
            with torch.no_grad():
                mean = float(engine(batch.ids, batch.packing, batch.labels, batch.weights))
            if mine < len(rows):
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
    columns = (pieces.start, pieces.end, pieces.document_end)
    return [
        Row((0,) * len(items), *(tuple(column[items].tolist()) for column in columns))
        for items in packed[: job.placement.validation_rows]
    ]
