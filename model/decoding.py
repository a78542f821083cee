"""A CWM's forward as the decoder runs it: the same function as `model.transformer`, without modules,
autograd or a loss.

A step with few lanes is mostly the cost of calling operators, so queries, keys and values go through
rotation and into the cache as one tensor, and what is summed is summed in place. Parameters are
referred to, never copied: weights that are replaced in place are seen by the next call.

Shape suffixes: T tokens (of a packed row of prompts, or one per lane), E hidden width, H query heads,
K key-value heads, X = H + 2 K heads of queries, then keys, then values, D head dimension, P positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F

from model.rope import rope_of
from model.transformer import CWM, Block

Attend = Callable[[int, torch.Tensor], torch.Tensor]
"""What a layer calls: (layer, qkv_TXD, rotated) -> out_THD; over a row of prompts or the cache."""

# Below this many multiplications oneDNN's set-up (some 9 us) costs more than it saves.
_WORTH_ONEDNN = 1 << 20


def linear(x_TE: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return ``x_TE @ weight.T``, for inference.

    In float32 on a CPU larger products go to oneDNN, through the operator that torch's compiler uses
    for a frozen model: there `F.linear` calls MKL, which has no AVX-512 kernels for AMD processors
    (2.2 times the seconds on a Zen 5).
    """
    if (
        x_TE.dtype == torch.float32
        and x_TE.device.type == "cpu"
        and len(x_TE) * weight.numel() >= _WORTH_ONEDNN
        and torch.backends.mkldnn.is_available()
    ):
        out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x_TE, weight, None, "none", [], "")
        return out
    return F.linear(x_TE, weight)


class _Layer(NamedTuple):
    """The parameters of one layer."""

    input_norm: torch.Tensor
    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    o: torch.Tensor
    mlp_norm: torch.Tensor
    gate: torch.Tensor
    up: torch.Tensor
    down: torch.Tensor

    @classmethod
    def of(cls, block: Block) -> _Layer:
        attention, mlp = block.self_attn, block.mlp
        modules = (block.input_layernorm, attention.q_proj, attention.k_proj, attention.v_proj)
        modules += (attention.o_proj, block.post_attention_layernorm)
        modules += (mlp.gate_proj, mlp.up_proj, mlp.down_proj)
        return cls(*(module.weight for module in modules))


class Decoder:
    """``model`` for positions below ``max_length``; call under `torch.inference_mode`."""

    def __init__(self, model: CWM, max_length: int) -> None:
        self.config = model.config
        self.embedding = model.model.embed_tokens.weight
        self.layers = [_Layer.of(block) for block in model.model.layers]
        self.norm = model.model.norm.weight
        self.head = model.lm_head.weight
        positions_P = torch.arange(max_length, device=self.head.device)
        self.cos_P1D, self.sin_P1D = rope_of(positions_P, self.config, torch.float32)

    def hidden(
        self, ids_T: torch.Tensor, positions_T: torch.Tensor, attend: Attend
    ) -> torch.Tensor:
        """Return what the head sees, [T, E]."""
        x_TE = F.embedding(ids_T, self.embedding)
        cos_T1D, sin_T1D = self.cos_P1D[positions_T], self.sin_P1D[positions_T]
        for number, layer in enumerate(self.layers):
            qkv_TXD = self._project(layer, x_TE)
            self._rotate(qkv_TXD, cos_T1D, sin_T1D)
            read_TE = attend(number, qkv_TXD).reshape(len(x_TE), -1)
            x_TE = linear(read_TE, layer.o).add_(x_TE)
            normed_TE = self._normed(x_TE, layer.mlp_norm)
            gated = F.silu(linear(normed_TE, layer.gate), inplace=True)
            x_TE = linear(gated.mul_(linear(normed_TE, layer.up)), layer.down).add_(x_TE)
        return self._normed(x_TE, self.norm)

    def logits(self, hidden_TE: torch.Tensor) -> torch.Tensor:
        """Return the head's logits, [T, V]."""
        return linear(hidden_TE, self.head)

    def _normed(self, x_TE: torch.Tensor, weight_E: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x_TE, weight_E.shape, weight_E, self.config.rms_norm_eps)

    def _project(self, layer: _Layer, x_TE: torch.Tensor) -> torch.Tensor:
        normed_TE = self._normed(x_TE, layer.input_norm)
        qkv = torch.cat([linear(normed_TE, w) for w in (layer.q, layer.k, layer.v)], 1)
        return qkv.view(len(x_TE), -1, self.config.head_dim)

    def _rotate(self, qkv_TXD: torch.Tensor, cos_T1D: torch.Tensor, sin_T1D: torch.Tensor) -> None:
        """Turn queries and keys by their tokens' angles, in place; a half is turned in float32."""
        heads = qkv_TXD[:, : -self.config.num_key_value_heads]
        swapped = heads.roll(self.config.head_dim // 2, -1)
        heads.copy_(torch.addcmul(heads * cos_T1D, swapped, sin_T1D))
