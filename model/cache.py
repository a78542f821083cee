"""The keys and values of the lanes that are being decoded.

Each lane is one sequence. A global layer keeps every token of a lane; a local layer keeps a ring of
the last ``window`` tokens, since nothing older is visible. Keys are stored rotated, so their order
in the ring is free.

Shape suffixes: B lanes, C slots, K key-value heads, G query heads per key-value head, D head
dimension, T tokens.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from model.attention import Attention
from model.config import CWMConfig
from model.packing import Packing


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
        self.config = config
        self.slots = [
            min(config.window(layer) or max_length, max_length)
            for layer in range(config.num_hidden_layers)
        ]
        heads, dim = config.num_key_value_heads, config.head_dim
        shapes = [(lanes, heads, slots, dim) for slots in self.slots]
        # zeros, not empty: a masked slot must not hold NaN
        self.keys = [torch.zeros(s, device=device, dtype=dtype) for s in shapes]
        self.values = [torch.zeros(s, device=device, dtype=dtype) for s in shapes]

    @property
    def lanes(self) -> int:
        """How many lanes there are."""
        return self.keys[0].shape[0]

    def keep(self, lanes_B: torch.Tensor) -> None:
        """Keep only these lanes, in this order."""
        self.keys = [keys[lanes_B] for keys in self.keys]
        self.values = [values[lanes_B] for values in self.values]


class Prefill:
    """What the layers call while a packed row of prompts is read: attends, and fills the prompts'
    lanes.

    ``lanes[i]`` are the lanes that prompt i goes to (several when it is sampled several times).
    """

    def __init__(
        self, cache: Cache, attention: Attention, packing: Packing, lanes: list[list[int]]
    ) -> None:
        self.cache, self.attention, self.packing = cache, attention, packing
        self.places = {slots: _places(packing, lanes, slots) for slots in set(cache.slots)}

    def __call__(
        self, layer: int, q_THD: torch.Tensor, k_TKD: torch.Tensor, v_TKD: torch.Tensor
    ) -> torch.Tensor:
        """Attend within the prompts; keep their keys and values."""
        source, lane, slot = self.places[self.cache.slots[layer]]
        self.cache.keys[layer][lane, :, slot] = k_TKD[source]
        self.cache.values[layer][lane, :, slot] = v_TKD[source]
        window = self.cache.config.window(layer)
        return self.attention(q_THD, k_TKD, v_TKD, self.packing, window)


def _places(
    packing: Packing, lanes: list[list[int]], slots: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return (token of the row, lane, slot) of all that a layer with ``slots`` slots keeps."""
    source, lane, slot = [], [], []
    start = 0
    for length, targets in zip(packing.lengths, lanes, strict=True):
        kept = torch.arange(max(0, length - slots), length)
        for target in targets:
            source.append(start + kept)
            lane.append(torch.full_like(kept, target))
            slot.append(kept % slots)
        start += length
    device = packing.positions.device
    return (
        torch.cat(source).to(device),
        torch.cat(lane).to(device),
        torch.cat(slot).to(device),
    )


class Step:
    """What the layers call while every lane takes one token: stores it, attends to the cache."""

    def __init__(self, cache: Cache, positions_B: torch.Tensor, longest: int) -> None:
        """``positions_B``: the place of each lane's new token; ``longest``: the largest of them."""
        self.cache = cache
        self.lanes_B = torch.arange(cache.lanes, device=positions_B.device)
        self.views = {
            slots: _view(positions_B, min(slots, longest + 1), slots, cache.keys[0].dtype)
            for slots in set(cache.slots)
        }

    def __call__(
        self, layer: int, q_BHD: torch.Tensor, k_BKD: torch.Tensor, v_BKD: torch.Tensor
    ) -> torch.Tensor:
        """Return what each lane's token reads, [B, H, D]."""
        slot_B, mask_B11C = self.views[self.cache.slots[layer]]
        keys_BKCD, values_BKCD = self.cache.keys[layer], self.cache.values[layer]
        keys_BKCD[self.lanes_B, :, slot_B] = k_BKD
        values_BKCD[self.lanes_B, :, slot_B] = v_BKD
        used = mask_B11C.shape[-1]
        lanes, heads, dim = q_BHD.shape
        # the queries of a group are rows of one product: twice as fast on CPU as repeating keys
        q_BKGD = q_BHD.view(lanes, keys_BKCD.shape[1], -1, dim)
        out_BKGD = F.scaled_dot_product_attention(
            q_BKGD, keys_BKCD[:, :, :used], values_BKCD[:, :, :used], attn_mask=mask_B11C
        )
        return out_BKGD.reshape(lanes, heads, dim)


def _view(
    positions_B: torch.Tensor, used: int, slots: int, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the slot that each lane writes and the additive mask over the first ``used`` slots."""
    empty = torch.arange(used, device=positions_B.device) > positions_B.unsqueeze(1)
    mask = torch.zeros(empty.shape, dtype=dtype, device=positions_B.device)
    return positions_B % slots, mask.masked_fill_(empty, -torch.inf)[:, None, None]
