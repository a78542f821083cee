"""Attention over packed documents: one interface, one place where its implementation is chosen.

An attention is a callable ``(q_THD, k_TKD, v_TKD, packing, window) -> out_THD``: causal, within
documents only; in a local layer a token sees the last ``window`` tokens, itself included
(``window=None``: all earlier ones).

Shape suffixes: T tokens of the packed row, H query heads, K key-value heads, D head dimension.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
import torch.nn.functional as F

from model.packing import Packing

Attention = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, Packing, "int | None"], torch.Tensor
]


def choose_attention(q_THD: torch.Tensor) -> Attention:
    """Return the attention for such queries: the one place where an implementation is chosen.

    `flash_attention` where its kernel can be had: half precision on CUDA, heads of at most 256 that
    are a multiple of 8. Else `sdpa_attention`, which runs anywhere.
    """
    dim = q_THD.shape[-1]
    half = q_THD.dtype in (torch.float16, torch.bfloat16)
    if q_THD.is_cuda and half and dim % 8 == 0 and dim <= 256:
        return flash_attention
    return sdpa_attention


def default_attention(
    q_THD: torch.Tensor,
    k_TKD: torch.Tensor,
    v_TKD: torch.Tensor,
    packing: Packing,
    window: int | None,
) -> torch.Tensor:
    """Attend with the implementation that fits; the result has autocast's type where that is on.

    On a CPU autocast leaves attention in float32: SDPA's kernels take longer in bfloat16.
    """
    device = q_THD.device.type
    if not torch.is_autocast_enabled(device):
        return choose_attention(q_THD)(q_THD, k_TKD, v_TKD, packing, window)
    half = torch.get_autocast_dtype(device)
    dtype = torch.float32 if device == "cpu" else half  # custom operators need one type
    with torch.autocast(device, enabled=False):
        q_THD, k_TKD, v_TKD = q_THD.to(dtype), k_TKD.to(dtype), v_TKD.to(dtype)
        return choose_attention(q_THD)(q_THD, k_TKD, v_TKD, packing, window).to(half)


def flash_attention(
    q_THD: torch.Tensor,
    k_TKD: torch.Tensor,
    v_TKD: torch.Tensor,
    packing: Packing,
    window: int | None,
) -> torch.Tensor:
    """Attend with torch's variable-length flash attention (CUDA, Ampere or newer)."""
    from torch.nn.attention.varlen import varlen_attn  # needs a CUDA build to be called

    longest = max(packing.lengths)
    # a query at i sees the keys i - left to i + right, both included: the window has left + 1
    reach = (-1, 0) if window is None else (window - 1, 0)
    out = varlen_attn(
        q_THD,
        k_TKD,
        v_TKD,
        packing.cu_seqlens,
        packing.cu_seqlens,
        longest,
        longest,
        window_size=reach,
        enable_gqa=q_THD.shape[1] != k_TKD.shape[1],
    )
    assert isinstance(out, torch.Tensor)  # a tuple only comes when return_aux is asked for
    return out


# one masked call over the row beats one call per document when T * T is below this many scores per
# document
_SCORES_PER_CALL = 12_000
_LONGEST_MASKED = 1024  # tokens; bounds the memory of the masks that are kept


def sdpa_attention(
    q_THD: torch.Tensor,
    k_TKD: torch.Tensor,
    v_TKD: torch.Tensor,
    packing: Packing,
    window: int | None,
) -> torch.Tensor:
    """Attend with SDPA: many short documents in one masked call, else document by document.

    A document longer than the window goes in chunks of queries, which costs time and memory linear
    in its length.
    """
    lengths = packing.lengths
    tokens = q_THD.shape[0]
    if window is not None and max(lengths) <= window:
        window = None  # the same set of keys, and a mask that local and global layers share
    short = tokens <= _LONGEST_MASKED and tokens * tokens < _SCORES_PER_CALL * len(lengths)
    if len(lengths) > 1 and short:
        mask = _block_mask(lengths, window, q_THD.dtype, q_THD.device)
        return _sdpa(q_THD, k_TKD, v_TKD, mask)
    if len(lengths) == 1:
        return _one_document(q_THD, k_TKD, v_TKD, window)
    rows = zip(q_THD.split(lengths), k_TKD.split(lengths), v_TKD.split(lengths), strict=True)
    return torch.cat([_one_document(q, k, v, window) for q, k, v in rows])


def _sdpa(
    q_THD: torch.Tensor, k_TKD: torch.Tensor, v_TKD: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """One SDPA call; causal where no additive ``mask`` is given."""
    q, k, v = (x.transpose(0, 1).unsqueeze(0) for x in (q_THD, k_TKD, v_TKD))
    out = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=q.shape[1] != k.shape[1]
    )
    return out.squeeze(0).transpose(0, 1)


def _one_document(
    q_THD: torch.Tensor, k_TKD: torch.Tensor, v_TKD: torch.Tensor, window: int | None
) -> torch.Tensor:
    if window is None or q_THD.shape[0] <= window:
        return _sdpa(q_THD, k_TKD, v_TKD, None)
    # smaller chunks waste fewer scores outside the window, larger ones copy fewer keys
    return _chunked(q_THD, k_TKD, v_TKD, window, chunk=min(max(window // 8, 64), 512))


def _chunked(
    q_THD: torch.Tensor, k_TKD: torch.Tensor, v_TKD: torch.Tensor, window: int, chunk: int
) -> torch.Tensor:
    """Sliding-window attention, ``chunk`` queries at a time, each with the keys they can see.

    Keys are split once and joined per chunk: slices of the whole would each get a gradient of full
    length, which makes the backward pass quadratic.
    """
    mask = _band_mask(chunk, window, q_THD.dtype, q_THD.device)
    queries, keys, values = q_THD.split(chunk), k_TKD.split(chunk), v_TKD.split(chunk)
    before = mask.shape[1] // chunk - 1  # earlier chunks of which something is visible
    outs = []
    for i, q in enumerate(queries):
        first = max(0, i - before)
        k, v = torch.cat(keys[first : i + 1]), torch.cat(values[first : i + 1])
        absent = (first - (i - before)) * chunk  # keys before the document's first
        outs.append(_sdpa(q, k, v, mask[: len(q), absent : absent + len(k)]))
    return torch.cat(outs)


@lru_cache(maxsize=16)
def _band_mask(chunk: int, window: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Additive mask of one chunk's queries over the keys of its own and all visible chunks; first
    and last chunks of a document take a part of it."""
    with torch.inference_mode(False):  # cached: must serve training too
        keys = (-(-(window - 1) // chunk) + 1) * chunk
        places = torch.arange(keys, device=device)
        distance = places[-chunk:].unsqueeze(1) - places
        hidden = (distance < 0) | (distance >= window)
        return torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill(hidden, -torch.inf)


@lru_cache(maxsize=8)
def _block_mask(
    lengths: tuple[int, ...], window: int | None, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """Additive mask [T, T] of a whole row: causal, within documents and the window."""
    with torch.inference_mode(False):
        numbers = torch.arange(len(lengths), device=device)
        document = numbers.repeat_interleave(
            torch.tensor(lengths, device=device), output_size=sum(lengths)
        )
        place = torch.arange(len(document), device=device)
        distance = place.unsqueeze(1) - place
        hidden = (distance < 0) | (document.unsqueeze(1) != document)
        if window is not None:
            hidden |= distance >= window
        return torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill(hidden, -torch.inf)
