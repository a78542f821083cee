"""From rows of pieces to what the model takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from model.packing import Packing
from stages.training.packing import Row
from stages.training.token_file import FULL_LOSS, TokenFile

IGNORED = -100
"""The label of a token after which nothing is scored."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One packed row of T tokens; ``labels[t]`` is the token after ``ids[t]``, weighted by
    ``weights[t]``."""

    ids: torch.Tensor
    """int64 [T]."""
    labels: torch.Tensor
    """int64 [T]; -100 at the end of a document and where the weight is 0."""
    weights: torch.Tensor
    """float32 [T]."""
    packing: Packing


def build_batch(rows: Sequence[Row], files: Sequence[TokenFile], device: torch.device) -> Batch:
    """Read the tokens of some rows (one after the other) and move them to ``device``.

    A piece that ends inside its document is also asked for the token that follows it there. Raises
    `TokenIdError`, which names the document, for a token beyond its file's vocabulary.
    """
    lengths = [length for row in rows for length in row.lengths]
    ids = np.empty(sum(lengths), dtype=np.int64)
    labels = np.full(len(ids), IGNORED, dtype=np.int64)
    weights = np.zeros(len(ids), dtype=np.float32)
    place = 0
    for row in rows:
        for source, start, end, last in zip(
            row.source, row.start, row.end, row.document_end, strict=True
        ):
            file, following = files[source], min(end + 1, last)
            ids[place : place + end - start] = file.tokens[start:end]
            known = place + following - start - 1
            labels[place:known] = file.tokens[start + 1 : following]
            weights[place:known] = file.loss[start + 1 : following]
            place += end - start
    if max(ids.max(), labels.max()) >= min(file.meta["vocab_size"] for file in files):
        _name_the_document(rows, files)
    labels[weights == 0] = IGNORED
    return Batch(
        ids=torch.from_numpy(ids).to(device),
        labels=torch.from_numpy(labels).to(device),
        weights=torch.from_numpy(weights / FULL_LOSS).to(device),
        packing=Packing.of(lengths, device, reach=rows[0].reach),
    )


def _name_the_document(rows: Sequence[Row], files: Sequence[TokenFile]) -> None:
    for row in rows:
        for source, start, last in zip(row.source, row.start, row.document_end, strict=True):
            files[source].check_ids(start, last)


def weight_of(rows: Sequence[Row], files: Sequence[TokenFile]) -> float:
    """Return the sum of the loss weights of some rows without reading their tokens."""
    total = 0
    for row in rows:
        for source, start, end, last in zip(
            row.source, row.start, row.end, row.document_end, strict=True
        ):
            total += int(files[source].loss[start + 1 : min(end + 1, last)].sum(dtype=np.int64))
    return total / FULL_LOSS
