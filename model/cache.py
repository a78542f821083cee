"""The keys and values of the lanes that are being decoded.

Each lane is one sequence. A global layer keeps every token of a lane; a local layer keeps a ring of
the last ``window`` tokens, since nothing older is visible. Keys are stored rotated, so their order
in the ring is free.

Shape suffixes: B lanes, C slots, R = B C rows, H query heads, K key-value heads, G query heads per
key-value head, X = H + 2 K heads of queries, then keys, then values, D head dimension, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from model.attention import Attention
from model.config import CWMConfig
from model.packing import Packing


class CacheFullError(ValueError):
    """A token stands beyond the length that a cache was made for."""


class Cache:
    """Preallocated keys and values for ``lanes`` sequences of at most ``max_length`` tokens."""

    def __init__(
        self,
        config: CWMConfig,
        lanes: int,
        max_length: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.config, self.lanes, self.max_length = config, lanes, max_length
        self.slots = [
            min(config.window(layer) or max_length, max_length)
            for layer in range(config.num_hidden_layers)
        ]
        heads, dim = 2 * config.num_key_value_heads, config.head_dim
        # [B, C, 2 K, D] of each layer; zeros, not empty: a masked slot must not hold NaN
        self.layers = [
            torch.zeros(lanes, slots, heads, dim, device=device, dtype=dtype)
            for slots in self.slots
        ]

    def store(self, layer: int, rows_T: torch.Tensor, kv_TXD: torch.Tensor) -> None:
        """Write tokens' keys and values to rows, a row being ``lane * slots + slot``."""
        self.layers[layer].flatten(0, 1).index_copy_(0, rows_T, kv_TXD)

    def keep(self, lanes: Sequence[int]) -> None:
        """Keep only these lanes, in this order."""
        chosen = torch.tensor(lanes, device=self.layers[0].device)
        self.layers = [kv[chosen] for kv in self.layers]
        self.lanes = len(lanes)

    def check(self, length: int) -> None:
        """Raise `CacheFullError` unless a sequence of ``length`` tokens fits."""
        if length > self.max_length:
            raise CacheFullError(
                f"a sequence of {length} tokens does not fit a cache of {self.max_length};"
                " make the cache larger or cut the prompt"
            )


class Prefill:
    """What the layers call while a packed row of prompts is read: attends, and fills the prompts'
    lanes.

    ``lanes[i]`` are the lanes that prompt i goes to (several when it is sampled several times).
    Raises `CacheFullError` for a prompt that does not fit.
    """

    def __init__(
        self, cache: Cache, attention: Attention, packing: Packing, lanes: list[list[int]]
    ) -> None:
        cache.check(max(packing.lengths))
        self.cache, self.attention, self.packing = cache, attention, packing
        self.places = {slots: _places(packing, lanes, slots) for slots in set(cache.slots)}

    def __call__(self, layer: int, qkv_TXD: torch.Tensor) -> torch.Tensor:
        """Attend within the prompts, [T, H, D]; keep their keys and values."""
        config = self.cache.config
        source_T, rows_T = self.places[self.cache.slots[layer]]
        heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.cache.store(layer, rows_T, qkv_TXD[:, heads:][source_T])
        q_THD, k_TKD, v_TKD = qkv_TXD.split([heads, kv_heads, kv_heads], 1)
        return self.attention(q_THD, k_TKD, v_TKD, self.packing, config.window(layer))


def _places(
    packing: Packing, lanes: list[list[int]], slots: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (token of the packed row, row of the cache) of all that a layer with ``slots`` slots
    keeps."""
    source, rows = [], []
    start = 0
    for length, targets in zip(packing.lengths, lanes, strict=True):
        kept = torch.arange(max(0, length - slots), length)
        for target in targets:
            source.append(start + kept)
            rows.append(target * slots + kept % slots)
        start += length
    device = packing.positions.device
    return torch.cat(source).to(device), torch.cat(rows).to(device)


class Step:
    """What the layers call while every lane takes one token: stores it, attends to the cache.

    Raises `CacheFullError` when a lane has grown beyond the cache.
    """

    def __init__(self, cache: Cache, positions: Sequence[int]) -> None:
        """``positions``: the place of each lane's new token."""
        cache.check(max(positions) + 1)
        self.cache = cache
        self.positions_B = torch.tensor(positions, device=cache.layers[0].device)
        self.views = {slots: self._view(positions, slots) for slots in set(cache.slots)}

    def __call__(self, layer: int, qkv_BXD: torch.Tensor) -> torch.Tensor:
        """Return what each lane's token reads, [B, H, D]."""
        heads, kv_heads = (
            self.cache.config.num_attention_heads,
            self.cache.config.num_key_value_heads,
        )
        rows_B, used, mask_B11C = self.views[self.cache.slots[layer]]
        self.cache.store(layer, rows_B, qkv_BXD[:, heads:])
        kv_BXCD = self.cache.layers[layer][:, :used].transpose(1, 2)
        # the queries of a group are rows of one product: twice as fast on CPU as repeating keys
        q_BKGD = qkv_BXD[:, :heads].unflatten(1, (kv_heads, -1))
        out_BKGD = F.scaled_dot_product_attention(
            q_BKGD, kv_BXCD[:, :kv_heads], kv_BXCD[:, kv_heads:], attn_mask=mask_B11C
        )
        return out_BKGD.flatten(1, 2)

    def _view(
        self, positions: Sequence[int], slots: int
    ) -> tuple[torch.Tensor, int, torch.Tensor | None]:
        """Return the row that each lane writes, how many slots are in use, and the additive mask
        over them (None where every lane uses all)."""
        device = self.positions_B.device
        starts_B = torch.arange(0, self.cache.lanes * slots, slots, device=device)
        rows_B = starts_B + self.positions_B % slots
        used = min(slots, max(positions) + 1)
        if min(positions) + 1 >= used:
            return rows_B, used, None
        empty_BC = torch.arange(used, device=device) > self.positions_B.unsqueeze(1)
        mask_BC = torch.zeros(empty_BC.shape, dtype=self.cache.layers[0].dtype, device=device)
        return rows_B, used, mask_BC.masked_fill_(empty_BC, -torch.inf)[:, None, None]
