"""CWM's transformer in plain PyTorch: pre-norm, grouped-query attention, SwiGLU, no biases, untied
head.

Tokens come as one packed row (see `model.packing`). The modules have the names of HF's
``CwmForCausalLM``, so a state dict is exchanged without conversion. Every leaf module initialises
itself: under DeepSpeed's ``zero.Init`` a parameter is already a shard when a parent's initialiser
would reach it.

Shape suffixes: T tokens, E hidden width, H query heads, K key-value heads, D head dimension, V
vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from model.attention import Attention, default_attention
from model.config import CWMConfig
from model.linear import linear
from model.loss import mean_loss_and_z, token_losses
from model.packing import Packing
from model.recompute import Recompute, recomputed
from model.rope import Rope, rope_of, rotate
from model.swiglu import swiglu

Attend = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""What a layer calls: (layer, q_THD, k_TKD, v_TKD) -> out_THD; over a packing or a cache."""


class TokenIdError(ValueError):
    """A token id is not a row of the embedding; names its position in the row and the id."""


class RowError(ValueError):
    """The tensors of a row do not have one number of tokens."""


def _draw(weight: nn.Parameter, std: float) -> None:
    if not weight.is_meta:  # there, it would only import sympy: a second and 70 MB
        nn.init.normal_(weight, std=std)


class Linear(nn.Module):
    """A matrix product without bias; ``weight`` is [outputs, inputs]."""

    def __init__(self, inputs: int, outputs: int, std: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        _draw(self.weight, std)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [..., inputs] to [..., outputs]."""
        return linear(x, self.weight)


class Embedding(nn.Module):
    """The table of token vectors; ``weight`` is [V, E]."""

    def __init__(self, vocabulary: int, width: int, std: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary, width))
        _draw(self.weight, std)

    def forward(self, ids_T: torch.Tensor) -> torch.Tensor:
        """Look up ``ids_T``; `TokenIdError` for an id outside the vocabulary.

        On an accelerator nothing is checked here, where reading the ids back would stall it: CUDA
        ends the process with a device-side assertion.
        """
        try:
            return F.embedding(ids_T, self.weight)
        except IndexError:
            raise _outside(ids_T, len(self.weight)) from None


def _outside(ids_T: torch.Tensor, vocabulary: int) -> TokenIdError:
    at = int(((ids_T < 0) | (ids_T >= vocabulary)).nonzero()[0])
    return TokenIdError(
        f"token id {int(ids_T[at])} at position {at} of the row: the vocabulary has ids 0 to"
        f" {vocabulary - 1}"
    )


class RMSNorm(nn.Module):
    """Root-mean-square norm with a learned scale."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise the last dimension."""
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def _residual_std(config: CWMConfig) -> float:
    scale = math.sqrt(2 * config.num_hidden_layers) if config.scale_residual_init else 1.0
    return config.initializer_range / scale


class SelfAttention(nn.Module):
    """Projections and rotation; who attends to whom is the caller's ``attend``."""

    def __init__(self, config: CWMConfig, layer: int) -> None:
        super().__init__()
        width, dim, std = config.hidden_size, config.head_dim, config.initializer_range
        self.layer = layer
        self.q_heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.q_proj = Linear(width, self.q_heads * dim, std)
        self.k_proj = Linear(width, self.kv_heads * dim, std)
        self.v_proj = Linear(width, self.kv_heads * dim, std)
        self.o_proj = Linear(self.q_heads * dim, width, _residual_std(config))

    def forward(self, x_TE: torch.Tensor, rope: Rope, attend: Attend) -> torch.Tensor:
        """Return what the layer's heads read, mapped back to [T, E]."""
        tokens = x_TE.shape[0]
        q_THD = rotate(self.q_proj(x_TE).view(tokens, self.q_heads, -1), rope)
        k_TKD = rotate(self.k_proj(x_TE).view(tokens, self.kv_heads, -1), rope)
        v_TKD = self.v_proj(x_TE).view(tokens, self.kv_heads, -1)
        out_THD = attend(self.layer, q_THD, k_TKD, v_TKD)
        read: torch.Tensor = self.o_proj(out_THD.reshape(tokens, -1))
        return read


class MLP(nn.Module):
    """SwiGLU."""

    def __init__(self, config: CWMConfig) -> None:
        super().__init__()
        width, inner, std = config.hidden_size, config.intermediate_size, config.initializer_range
        self.gate_proj = Linear(width, inner, std)
        self.up_proj = Linear(width, inner, std)
        self.down_proj = Linear(inner, width, _residual_std(config))

    def forward(self, x_TE: torch.Tensor) -> torch.Tensor:
        """Map [T, E] to [T, E]."""
        if not torch.is_grad_enabled() and len(x_TE) > 4096:  # nothing is kept: part by part
            return torch.cat([self.forward(part) for part in x_TE.split(4096)])
        out: torch.Tensor = self.down_proj(swiglu(self.gate_proj(x_TE), self.up_proj(x_TE)))
        return out


class Block(nn.Module):
    """One decoder layer."""

    def __init__(self, config: CWMConfig, layer: int, recompute: Recompute = "none") -> None:
        super().__init__()
        self.recompute = recompute
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = SelfAttention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MLP(config)

    def forward(self, x_TE: torch.Tensor, rope: Rope, attend: Attend) -> torch.Tensor:
        """Add attention, then the MLP, to the residual stream."""
        if self.recompute == "none" or not torch.is_grad_enabled():
            return self._layer(x_TE, rope, attend)
        # inside the module's forward: ZeRO-3's hooks gather its weights before either pass
        return recomputed(self.recompute, self._layer, x_TE, rope, attend)

    def _layer(self, x_TE: torch.Tensor, rope: Rope, attend: Attend) -> torch.Tensor:
        x_TE = x_TE + self.self_attn(self.input_layernorm(x_TE), rope, attend)
        out: torch.Tensor = x_TE + self.mlp(self.post_attention_layernorm(x_TE))
        return out


class Backbone(nn.Module):
    """Everything below the head."""

    def __init__(self, config: CWMConfig, recompute: Recompute) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = Embedding(
            config.vocab_size, config.hidden_size, config.initializer_range
        )
        self.layers = nn.ModuleList(
            Block(config, i, recompute) for i in range(config.num_hidden_layers)
        )
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self, ids_T: torch.Tensor, positions_T: torch.Tensor, attend: Attend
    ) -> torch.Tensor:
        """Return the normed hidden states [T, E]."""
        x_TE = self.embed_tokens(ids_T)
        rope = rope_of(positions_T, self.config, torch.promote_types(x_TE.dtype, torch.float32))
        for block in self.layers:
            x_TE = block(x_TE, rope, attend)
        out: torch.Tensor = self.norm(x_TE)
        return out


class Head(nn.Module):
    """The output layer and its loss, in one forward: ZeRO-3 has gathered ``weight`` for both."""

    def __init__(self, config: CWMConfig) -> None:
        super().__init__()
        shape = (config.vocab_size, config.hidden_size)
        self.weight = nn.Parameter(torch.empty(shape))
        _draw(self.weight, config.initializer_range)

    def forward(
        self,
        hidden_TE: torch.Tensor,
        labels_T: torch.Tensor | None = None,
        weights_T: torch.Tensor | None = None,
        reduction: Literal["mean", "none"] = "mean",
        temperature: float = 1.0,
        z_loss: float = 0.0,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Return logits [T, V] without labels, else the loss (see `CWM.forward`)."""
        if labels_T is None:
            return linear(hidden_TE, self.weight)
        if reduction == "none":
            return token_losses(hidden_TE, self.weight, labels_T, temperature=temperature)
        if reduction != "mean":
            raise ValueError(f"reduction is {reduction!r}; expected 'mean' or 'none'")
        loss, z_mean = mean_loss_and_z(
            hidden_TE, self.weight, labels_T, weights_T, temperature=temperature, z_loss=z_loss
        )
        return (loss, z_mean) if z_loss else loss


class CWM(nn.Module):
    """A Code World Model.

    ``attention`` replaces the implementation (`model.attention`), e.g. to run sequence-parallel.
    ``recompute`` says what the backward pass computes again (`model.recompute`).
    """

    def __init__(
        self,
        config: CWMConfig,
        attention: Attention | None = None,
        *,
        recompute: Recompute = "none",
    ) -> None:
        super().__init__()
        self.config = config
        self.attention = attention or default_attention
        self.model = Backbone(config, recompute)
        self.lm_head = Head(config)

    def forward(
        self,
        ids_T: torch.Tensor,
        packing: Packing,
        labels_T: torch.Tensor | None = None,
        weights_T: torch.Tensor | None = None,
        *,
        reduction: Literal["mean", "none"] = "mean",
        temperature: float = 1.0,
        z_loss: float = 0.0,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Run a packed row of T tokens.

        Without ``labels_T``: logits [T, V]. With: the loss in nats, where ``labels_T[t]`` is the
        token after ``ids_T[t]`` (already shifted), or -100 where nothing is scored, such as at a
        document's end. ``reduction`` "mean" gives the scalar sum(w * nll) / sum(w) with
        ``weights_T`` (1 where absent), "none" gives nll [T]. ``temperature`` divides the logits of
        the loss. With a ``z_loss`` (and "mean") the result is a pair: sum(w * (nll + z_loss *
        log(z)**2)) / sum(w), z the softmax's denominator, and sum(w * log(z)**2) / sum(w), of which
        no gradient is to be had.

        Raises `RowError` where lengths differ, `TokenIdError` and `model.loss.LabelError` for what
        is outside the vocabulary (unchecked on an accelerator).
        """
        for name, given in (("labels_T", labels_T), ("weights_T", weights_T)):
            if given is not None:
                _check_length(name, given, packing)
        hidden_TE = self.hidden(ids_T, packing)
        out: torch.Tensor | tuple[torch.Tensor, torch.Tensor] = self.lm_head(
            hidden_TE, labels_T, weights_T, reduction, temperature, z_loss
        )
        return out

    @classmethod
    def from_pretrained(cls, directory: Path | str, attention: Attention | None = None) -> CWM:
        """Read a checkpoint in HF's layout; see `model.checkpoint.load_pretrained`."""
        from model.checkpoint import load_pretrained  # which imports this module

        return load_pretrained(directory, attention)

    def save_pretrained(self, directory: Path | str) -> None:
        """Write a checkpoint in HF's layout; see `model.checkpoint.save_pretrained`."""
        from model.checkpoint import save_pretrained

        save_pretrained(self, directory)

    def hidden(self, ids_T: torch.Tensor, packing: Packing) -> torch.Tensor:
        """Return what the head sees of a packed row, [T, E]; errors as `forward`."""
        _check_length("ids_T", ids_T, packing)
        attend = partial(_attend_packed, self.attention, self.config, packing)
        out: torch.Tensor = self.model(ids_T, packing.positions, attend)
        return out


def _check_length(name: str, tensor: torch.Tensor, packing: Packing) -> None:
    if tensor.shape != packing.positions.shape:
        raise RowError(
            f"{name} has shape {list(tensor.shape)}, but the packing is of a row of"
            f" {packing.tokens} tokens: expected [{packing.tokens}]"
        )


def _attend_packed(
    attention: Attention,
    config: CWMConfig,
    packing: Packing,
    layer: int,
    q_THD: torch.Tensor,
    k_TKD: torch.Tensor,
    v_TKD: torch.Tensor,
) -> torch.Tensor:
    return attention(q_THD, k_TKD, v_TKD, packing, config.window(layer) or packing.reach)
