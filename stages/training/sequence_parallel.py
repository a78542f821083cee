"""Ulysses sequence parallelism: consecutive workers share a row, each holding a part of its tokens.

Everything but attention works token by token and needs nothing. In attention each worker gives away
its tokens' heads but its own, and gets its own heads of all tokens::

    worker 0   tokens 0 1, heads a b        all-to-all        worker 0   tokens 0 1 2 3, head a
    worker 1   tokens 2 3, heads a b      ────────────▶       worker 1   tokens 0 1 2 3, head b

The attention in between is `model.attention`'s on whole documents: windows, documents and reach
need no care of their own. Positions and labels are made from the whole row before it is divided.

Each worker's loss is the mean over its own tokens. The training loop multiplies it by their share
in the global batch's weight, and ZeRO sums gradients over all workers: that is right for parts of
rows as for rows, so DeepSpeed is not told of the groups.

After "DeepSpeed Ulysses" (Jacobs et al., 2023, arXiv:2309.14509). DeepSpeed's own layer is not
used: its integration drops window masks.

Shape suffixes: T tokens of the row, P tokens of a part, H query heads, K key-value heads, D head
dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import Field, fields, replace
from typing import Any, ClassVar, Protocol, TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as F

from model.attention import default_attention
from model.loss import IGNORED
from model.packing import Packing
from stages.training.world import check_groups


class Row(Protocol):
    """A dataclass of a packing and tensors [T]; one of them may be called ``labels``."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def packing(self) -> Packing:
        """The documents of the row."""


RowT = TypeVar("RowT", bound=Row)


class SequenceParallel:
    """Which rows and which part of them are this worker's, and the attention over parts.

    Every worker must make it, with the same numbers, after the process group: it makes the groups.
    With ``size`` 1 rows are whole and attention is the model's own.
    """

    def __init__(self, size: int, kv_heads: int) -> None:
        """Raise `SequenceParallelError` unless ``size`` divides the workers and ``kv_heads``."""
        workers, rank = dist.get_world_size(), dist.get_rank()
        check_groups(size, workers=workers, kv_heads=kv_heads)
        self.size = size
        self.part = rank % size
        """Which part of a row this worker has."""
        self.data_rank, self.data_size = rank // size, workers // size
        """Which share of the rows this worker's group has, and how many groups there are."""
        self._group = dist.new_subgroups(size)[0] if size > 1 else None

    def shard(self, row: RowT) -> RowT:
        """Return this worker's part of a row of any length: of its packing and of every tensor.

        The row is first filled up to a multiple of ``size`` by a document of zeros that is not
        scored.
        """
        if self.size == 1:
            return row
        packing, device = row.packing, row.packing.positions.device
        missing = -packing.tokens % self.size
        if missing:
            packing = Packing.of((*packing.lengths, missing), device, reach=packing.reach)
        parts = {
            name: self._mine(value, missing, IGNORED if name == "labels" else 0)
            for name in (field.name for field in fields(row))
            if isinstance(value := getattr(row, name), torch.Tensor)
        }
        return replace(row, packing=packing.part(self.part, self.size), **parts)

    def _mine(self, values: torch.Tensor, missing: int, fill: int) -> torch.Tensor:
        # a copy: a view would keep the whole row
        return F.pad(values, (0, missing), value=fill).chunk(self.size)[self.part].clone()

    def attention(
        self,
        q_PHD: torch.Tensor,
        k_PKD: torch.Tensor,
        v_PKD: torch.Tensor,
        packing: Packing,
        window: int | None,
    ) -> torch.Tensor:
        """Attend (see `model.attention`) from this worker's tokens to the whole row's.

        ``packing`` is a part's; all workers of a group must call, also in the backward pass.
        """
        if self._group is None:
            return default_attention(q_PHD, k_PKD, v_PKD, packing, window)
        q_THD, k_TKD, v_TKD = _heads_for_tokens([q_PHD, k_PKD, v_PKD], self._group)
        out_THD = default_attention(q_THD, k_TKD, v_TKD, packing, window)
        return _tokens_for_heads(out_THD, self._group)


def _heads_for_tokens(
    parts: Sequence[torch.Tensor], group: dist.ProcessGroup
) -> tuple[torch.Tensor, ...]:
    """Exchange tensors [P, heads, D] for [T, heads / size, D]; one collective for all."""
    size = group.size()
    # [P, size, heads / size, D]: worker i gets the i-th group of heads of each
    grouped = [part.unflatten(1, (size, -1)).transpose(0, 1) for part in parts]
    received: torch.Tensor = _AllToAll.apply(torch.cat(grouped, 2), group)
    # what came from worker i are the tokens of the i-th part
    return received.flatten(0, 1).split([part.shape[2] for part in grouped], 1)


def _tokens_for_heads(out_THD: torch.Tensor, group: dist.ProcessGroup) -> torch.Tensor:
    """Exchange [T, heads / size, D] for [P, heads, D]."""
    sent = out_THD.unflatten(0, (group.size(), -1)).contiguous()
    received: torch.Tensor = _AllToAll.apply(sent, group)
    return received.transpose(0, 1).flatten(1, 2)


class _AllToAll(torch.autograd.Function):
    """Worker i's j-th row becomes worker j's i-th: its own transpose, so its own gradient."""

    @staticmethod
    def forward(context: Any, rows: torch.Tensor, group: dist.ProcessGroup) -> torch.Tensor:
        context.group = group
        return _exchange(rows, group)

    @staticmethod
    def backward(context: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _exchange(grad.contiguous(), context.group), None


def _exchange(rows: torch.Tensor, group: dist.ProcessGroup) -> torch.Tensor:
    received = torch.empty_like(rows)
    dist.all_to_all_single(received, rows, group=group)
    return received
