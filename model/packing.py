"""Several documents in one row: where each begins, and where each token stands in its own.

A row is one-dimensional: ``[a a a a b b c c c]``. No token sees another document, positions restart
at 0. This is the form that variable-length attention kernels take; there is no padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


class PackingError(ValueError):
    """A row has no documents, or one without tokens."""


@dataclass(frozen=True, slots=True, eq=False)
class Packing:
    """The documents of a row of T tokens.

    ``cu_seqlens`` int32 [documents + 1]: where each begins, then T. ``positions`` int64 [T]: each
    token's place in its own document. ``lengths``: the documents' lengths as Python numbers
    (reading them back from an accelerator would stall it).
    """

    cu_seqlens: torch.Tensor
    positions: torch.Tensor
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, lengths: Sequence[int], device: torch.device | str = "cpu") -> Packing:
        """Build the packing of documents of these lengths; `PackingError` unless each is >= 1."""
        if not lengths:
            raise PackingError("a row of no documents: there must be one at least")
        if min(lengths) < 1:
            at = next(i for i, length in enumerate(lengths) if length < 1)
            raise PackingError(f"document {at} of the row has length {lengths[at]}: at least 1")
        # outside inference mode, so that a packing made while sampling can also be trained on
        with torch.inference_mode(False):
            sizes = torch.tensor(lengths)
            ends = sizes.cumsum(0)
            starts = torch.repeat_interleave(ends - sizes, sizes)
            positions = torch.arange(len(starts)) - starts
            cu_seqlens = torch.zeros(len(lengths) + 1, dtype=torch.int32)
            cu_seqlens[1:] = ends
            return cls(cu_seqlens.to(device), positions.to(device), tuple(lengths))

    @property
    def tokens(self) -> int:
        """The row's length T."""
        return len(self.positions)

    def to(self, device: torch.device | str) -> Packing:
        """Return the packing with its tensors on ``device``."""
        return Packing(self.cu_seqlens.to(device), self.positions.to(device), self.lengths)
