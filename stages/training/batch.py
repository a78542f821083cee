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

    A piece that ends inside its document is also asked for the token that follows it there.
    """
    ids, labels, weights = [], [], []
    for row in rows:
        for source, start, end, last in zip(
            row.source, row.start, row.end, row.document_end, strict=True
        ):
            file, following = files[source], min(end + 1, last)
            label = np.full(end - start, IGNORED, dtype=np.int64)
            weight = np.zeros(end - start, dtype=np.float32)
            known = following - start - 1
            weight[:known] = file.loss[start + 1 : following]
            label[:known] = file.tokens[start + 1 : following]
            label[weight == 0] = IGNORED
            ids.append(file.tokens[start:end].astype(np.int64))
            labels.append(label)
            weights.append(weight / FULL_LOSS)
    return Batch(
        ids=torch.from_numpy(np.concatenate(ids)).to(device),
        labels=torch.from_numpy(np.concatenate(labels)).to(device),
        weights=torch.from_numpy(np.concatenate(weights)).to(device),
        packing=Packing.of([length for row in rows for length in row.lengths], device),
    )


def weight_of(rows: Sequence[Row], files: Sequence[TokenFile]) -> float:
    """Return the sum of the loss weights of some rows without reading their tokens."""
    total = 0
    for row in rows:
        for source, start, end, last in zip(
            row.source, row.start, row.end, row.document_end, strict=True
        ):
            total += int(files[source].loss[start + 1 : min(end + 1, last)].sum(dtype=np.int64))
    return total / FULL_LOSS
