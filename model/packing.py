"""Several documents in one row: where each begins, and where each token stands in its own.

A row is one-dimensional: ``[a a a a b b c c c]``. No token sees another document, positions restart
at 0. This is the form that variable-length attention kernels take; there is no padding.

Under sequence parallelism a process holds a part of a row (`Packing.part`): the tokens' positions
are those of its part, the documents are the whole row's, for attention sees the whole row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch


class PackingError(ValueError):
    """A row has no documents, one without tokens, or one that cannot be divided as asked."""


@dataclass(frozen=True, slots=True, eq=False)
class Packing:
    """The documents of a row of T tokens.

    ``cu_seqlens`` int32 [documents + 1]: where each begins, then T. ``positions`` int64 [T] (of a
    part: as many as it has tokens): each token's place in its own document. ``lengths``: the
    documents' lengths as Python numbers (reading them back from an accelerator would stall it).
    ``reach``: the tokens that global layers see, the token itself included; None: all earlier ones.
    """

    cu_seqlens: torch.Tensor
    positions: torch.Tensor
    lengths: tuple[int, ...]
    reach: int | None = None

    @classmethod
    def of(
        cls,
        lengths: Sequence[int],
        device: torch.device | str = "cpu",
        *,
        reach: int | None = None,
    ) -> Packing:
        """Build the packing of documents of these lengths.

        `PackingError` unless there is one, each is >= 1, and so is ``reach``.
        """
        if reach is not None and reach < 1:
            raise PackingError(f"global layers reach {reach} tokens: at least 1, the token itself")
        if not lengths:
            raise PackingError("a row of no documents: there must be one at least")
        if min(lengths) < 1:
            at = next(i for i, length in enumerate(lengths) if length < 1)
            raise PackingError(f"document {at} of the row has length {lengths[at]}: at least 1")
        # numpy: a quarter of the time that torch takes for what is as small as this
        sizes = np.array(lengths, dtype=np.int64)
        ends = sizes.cumsum()
        cu_seqlens = np.zeros(len(sizes) + 1, dtype=np.int32)
        cu_seqlens[1:] = ends
        positions = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)
        # outside inference mode, so that a packing made while sampling can also be trained on
        with torch.inference_mode(False):
            starts, places = (torch.from_numpy(x).to(device) for x in (cu_seqlens, positions))
            return cls(starts, places, tuple(lengths), reach)

    @property
    def tokens(self) -> int:
        """The row's length T, or its part's."""
        return len(self.positions)

    def part(self, rank: int, size: int) -> Packing:
        """Return part ``rank`` of ``size`` equal ones: its positions, the whole row's documents.

        `PackingError` where T is no multiple of ``size``, or this is a part already.
        """
        whole = sum(self.lengths)
        if self.tokens != whole or whole % size or not 0 <= rank < size:
            raise PackingError(
                f"part {rank} of {size} of {self.tokens} tokens from a row of {whole}: a row is"
                " divided once, into parts of equal length"
            )
        tokens = whole // size
        mine = self.positions[rank * tokens : (rank + 1) * tokens]
        return replace(self, positions=mine)

    def to(self, device: torch.device | str) -> Packing:
        """Return the packing with its tensors on ``device``."""
        tensors = (self.cu_seqlens.to(device), self.positions.to(device))
        return Packing(*tensors, self.lengths, self.reach)
