"""A CWM's forward as the decoder runs it: the same function as `model.transformer`, without
modules, autograd or a loss.

A step with few lanes is mostly the cost of reading weights and of calling operators, so queries,
keys and values go through rotation and into the cache as one tensor, and what is summed is summed
in place.

Shape suffixes: T tokens (of a packed row of prompts, or one per lane), E hidden width, H query
heads, K key-value heads, X = H + 2 K heads of queries, then keys, then values, D head dimension, P
positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from model.products import PACKED_BYTES, Product
from model.rope import rope_of
from model.transformer import CWM, Block, RMSNorm

AttendJoined = Callable[[int, torch.Tensor], torch.Tensor]
"""What a layer calls: (layer, qkv_TXD) -> out_THD, with queries and keys rotated; over a row of
prompts or the cache. `model.transformer.Attend` with its three tensors joined."""


class _Layer:
    """The products and norms of one layer."""

    def __init__(self, block: nn.Module) -> None:
        assert isinstance(block, Block)
        attention, mlp = block.self_attn, block.mlp
        self.attention_norm, self.mlp_norm = block.input_layernorm, block.post_attention_layernorm
        self.qkv = Product(attention.q_proj, attention.k_proj, attention.v_proj)
        self.o = Product(attention.o_proj)
        self.gate_up = Product(mlp.gate_proj, mlp.up_proj)
        self.down = Product(mlp.down_proj)


class Decoder:
    """The forward of ``model``; call under `torch.inference_mode`, after `prepare`."""

    def __init__(self, model: CWM) -> None:
        self.config = model.config
        self.embedding, self.norm = model.model.embed_tokens, model.model.norm
        self.layers = [_Layer(block) for block in model.model.layers]
        self.head = Product(model.lm_head)
        self.products = [self.head]
        for layer in self.layers:
            self.products += [layer.qkv, layer.o, layer.gate_up, layer.down]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embedding.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The weights' type."""
        return self.embedding.weight.dtype

    def prepare(self, max_length: int) -> None:
        """Get ready for positions below ``max_length``, with the weights as they are now."""
        positions_P = torch.arange(max_length, device=self.device)
        self.cos_P1D, self.sin_P1D = rope_of(positions_P, self.config, torch.float32)
        self.sync()

    def sync(self) -> None:
        """Take up weights that were replaced, in place or by other tensors."""
        weights = [module.get_parameter("weight") for p in self.products for module in p.modules]
        pack = sum(weight.nbytes for weight in weights) <= PACKED_BYTES
        for product in self.products:
            product.sync(pack=pack)

    def hidden(
        self, ids_T: torch.Tensor, positions_T: torch.Tensor, attend: AttendJoined
    ) -> torch.Tensor:
        """Return what the head sees, [T, E]."""
        x_TE = F.embedding(ids_T, self.embedding.weight)
        cos_T1D, sin_T1D = self.cos_P1D[positions_T], self.sin_P1D[positions_T]
        for number, layer in enumerate(self.layers):
            qkv = layer.qkv.joined(_normed(x_TE, layer.attention_norm))
            qkv_TXD = qkv.view(len(x_TE), -1, self.config.head_dim)
            self._rotate(qkv_TXD, cos_T1D, sin_T1D)
            read_TE = attend(number, qkv_TXD).reshape(len(x_TE), -1)
            x_TE = layer.o.joined(read_TE).add_(x_TE)
            gate, up = layer.gate_up.apart(_normed(x_TE, layer.mlp_norm))
            x_TE = layer.down.joined(F.silu(gate).mul_(up)).add_(x_TE)
        return _normed(x_TE, self.norm)

    def logits(self, hidden_TE: torch.Tensor) -> torch.Tensor:
        """Return the head's logits, [T, V]."""
        return self.head.joined(hidden_TE)

    def _rotate(self, qkv_TXD: torch.Tensor, cos_T1D: torch.Tensor, sin_T1D: torch.Tensor) -> None:
        """Turn queries and keys by their tokens' angles, in place; a half is turned in float32."""
        heads = qkv_TXD[:, : -self.config.num_key_value_heads]
        swapped = heads.roll(self.config.head_dim // 2, -1)
        heads.copy_(torch.addcmul(heads * cos_T1D, swapped, sin_T1D))


def _normed(x_TE: torch.Tensor, norm: RMSNorm) -> torch.Tensor:
    return F.rms_norm(x_TE, norm.weight.shape, norm.weight, norm.eps)
