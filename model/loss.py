"""Cross-entropy of a linear head without the full matrix of logits.

Logits of 131,072 tokens over 128,256 words are 67 GB in float32. Here a chunk of tokens is held at
a time, tokens that are not scored cost nothing, and the result equals the plain computation.

`mean_loss` knows in its forward pass what each token's loss will be multiplied by, so it makes the
gradients there: three matrix products, as many as with all logits kept. `token_losses` does not,
and computes each chunk's logits again in the backward pass.

Why not ``F.linear_cross_entropy``: it has no weight per token except with reduction "none", which
computes the logits again (2.4 times our seconds at 1,024 tokens, 8,192 words, width 256, on an AMD
processor; its own mean takes 1.7 times them, and 1.2 times at 128,256 words, width 64); autocast
passes it by; and with bfloat16 inputs its losses are bfloat16, too coarse for the ratios of RL.
`benchmarks.loss_memory` measures both.

Shape suffixes: T tokens, S scored tokens, C tokens of a chunk, E hidden width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

from model.linear import linear

IGNORED = -100
"""The label of a token whose prediction is not scored."""

CHUNK = 512
"""Tokens whose logits are held at a time; fewer on a CPU where the vocabulary is large."""

_CPU_LOGITS = 1 << 22  # 16 MB: glibc gives larger blocks back, and the kernel clears new ones
_LOGITS_AT_ONCE = 1 << 22  # below this many, keeping the logits beats computing them again


class LabelError(ValueError):
    """A label is neither a row of the head's weight nor `IGNORED`."""


def token_losses(
    hidden_TE: torch.Tensor,
    weight_VE: torch.Tensor,
    labels_T: torch.Tensor,
    *,
    temperature: float = 1.0,
    chunk: int | None = None,
) -> torch.Tensor:
    """Return each token's negative log-likelihood [T] in nats, 0 where the label is `IGNORED`;
    float32 (float64 for float64 inputs).

    ``temperature`` divides the logits. ``chunk`` (tokens) forces the chunked computation; by
    default it is used when the logits are many. `LabelError` for a label outside the vocabulary,
    `ValueError` for a temperature that is not above 0.
    """
    _check(labels_T, len(weight_VE), temperature)
    if chunk is None and len(labels_T) * len(weight_VE) <= _LOGITS_AT_ONCE:
        logits = linear(hidden_TE, weight_VE)
        logits = logits.to(_wide(logits.dtype))
        if temperature != 1.0:
            logits = logits / temperature
        return F.cross_entropy(logits, labels_T, ignore_index=IGNORED, reduction="none")
    head = _Head.of(hidden_TE, len(weight_VE), temperature, chunk)
    losses: torch.Tensor = _TokenLosses.apply(hidden_TE, weight_VE, labels_T, head)
    return losses


def mean_loss(
    hidden_TE: torch.Tensor,
    weight_VE: torch.Tensor,
    labels_T: torch.Tensor,
    weights_T: torch.Tensor | None = None,
    *,
    temperature: float = 1.0,
    chunk: int | None = None,
) -> torch.Tensor:
    """Return the scalar sum(w * nll) / sum(w) over the scored tokens, 0 when none is or all weights
    are 0.

    ``weights_T`` (1 where absent) are constants: no gradient reaches them. The rest is as in
    `token_losses`.
    """
    return mean_loss_and_z(
        hidden_TE, weight_VE, labels_T, weights_T, temperature=temperature, chunk=chunk
    )[0]


def mean_loss_and_z(
    hidden_TE: torch.Tensor,
    weight_VE: torch.Tensor,
    labels_T: torch.Tensor,
    weights_T: torch.Tensor | None = None,
    *,
    temperature: float = 1.0,
    z_loss: float = 0.0,
    chunk: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the scalars sum(w * (nll + z_loss * log(z)**2)) / sum(w) and
    sum(w * log(z)**2) / sum(w), where z is the softmax's denominator (PaLM, section 5).

    The second is a constant to autograd: the first less ``z_loss`` times it is the cross-entropy.
    The rest is as in `mean_loss`.
    """
    _check(labels_T, len(weight_VE), temperature)
    head = _Head.of(hidden_TE, len(weight_VE), temperature, chunk)
    scored_T = labels_T != IGNORED
    shares_T = scored_T.to(_wide(head.dtype))
    if weights_T is not None:
        shares_T = weights_T.to(shares_T.dtype).masked_fill(~scored_T, 0.0)
    total = shares_T.sum()
    shares_T = shares_T / total.masked_fill(total == 0, 1.0)
    training = torch.is_grad_enabled() and (hidden_TE.requires_grad or weight_VE.requires_grad)
    both: tuple[torch.Tensor, torch.Tensor] = _MeanLoss.apply(
        hidden_TE, weight_VE, labels_T, shares_T, head, z_loss, training
    )
    return both


def _check(labels_T: torch.Tensor, vocabulary: int, temperature: float) -> None:
    if not temperature > 0:
        raise ValueError(f"the temperature of a loss is {temperature}; it must be above 0")
    if labels_T.device.type != "cpu" or not len(labels_T):
        return  # reading labels back would stall an accelerator, whose own check names the index
    low, high = (int(x) for x in labels_T.aminmax())
    if high >= vocabulary:
        raise LabelError(f"label {high}: the vocabulary has {vocabulary} words")
    if low < 0:
        wrong = labels_T[(labels_T < 0) & (labels_T != IGNORED)]
        if len(wrong):
            raise LabelError(f"label {int(wrong[0])}: only {IGNORED} means that nothing is scored")


def _wide(dtype: torch.dtype) -> torch.dtype:
    """The type of losses and sums: float32 at least."""
    return torch.promote_types(dtype, torch.float32)


def _compute_dtype(hidden_TE: torch.Tensor) -> torch.dtype:
    """The type of matrix products: autocast's where it is on (it does not reach into a Function's
    backward pass, so it is applied by hand)."""
    device = hidden_TE.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return hidden_TE.dtype


class _Head(NamedTuple):
    """What the computation is told besides tensors."""

    temperature: float
    chunk: int  # tokens
    dtype: torch.dtype  # of the matrix products

    @classmethod
    def of(
        cls, hidden_TE: torch.Tensor, vocabulary: int, temperature: float, chunk: int | None
    ) -> _Head:
        if chunk is None:
            chunk = CHUNK
            if hidden_TE.device.type == "cpu":
                chunk = min(max(_CPU_LOGITS // vocabulary, 64), CHUNK)
        return cls(temperature, chunk, _compute_dtype(hidden_TE))


class _Chunk(NamedTuple):
    """C scored tokens: their places in the row, their losses and unnormalised softmax."""

    places: torch.Tensor  # [C]
    hidden: torch.Tensor  # [C, E]
    labels: torch.Tensor  # [C, 1]
    exps: torch.Tensor  # [C, V]
    sums: torch.Tensor  # [C, 1]
    losses: torch.Tensor  # [C]
    log_z: torch.Tensor  # [C]


def _chunks(
    hidden_TE: torch.Tensor, weight_VE: torch.Tensor, labels_T: torch.Tensor, head: _Head
) -> Iterator[_Chunk]:
    """Go through the scored tokens; on an accelerator, finding them waits for it once."""
    places_S = (labels_T != IGNORED).nonzero().squeeze(1)
    for places_C in places_S.split(head.chunk):
        hidden_CE = hidden_TE.index_select(0, places_C).to(head.dtype)
        logits_CV = linear(hidden_CE, weight_VE).to(_wide(head.dtype))
        if head.temperature != 1.0:
            logits_CV /= head.temperature
        labels_C1 = labels_T.index_select(0, places_C).unsqueeze(1)
        largest_C1 = logits_CV.amax(1, keepdim=True)
        logits_CV -= largest_C1
        true_C1 = logits_CV.gather(1, labels_C1)
        exps_CV = logits_CV.exp_()
        sums_C1 = exps_CV.sum(1, keepdim=True)
        log_sums_C1 = sums_C1.log()
        losses_C, log_z_C = (
            (log_sums_C1 - true_C1).squeeze(1),
            (log_sums_C1 + largest_C1).squeeze(1),
        )
        yield _Chunk(places_C, hidden_CE, labels_C1, exps_CV, sums_C1, losses_C, log_z_C)


class _Gradients:
    """Sums up the gradients of a head's input and weight, chunk by chunk."""

    def __init__(self, hidden_TE: torch.Tensor, weight_VE: torch.Tensor, head: _Head) -> None:
        self.hidden_TE = torch.zeros_like(hidden_TE)
        self._sum_VE: torch.Tensor | None = None  # halves are summed in float32
        self._weight_VE, self._head = weight_VE, head

    def add(self, chunk: _Chunk, grads_C: torch.Tensor, z_loss: float = 0.0) -> None:
        """Add a chunk whose losses, with ``z_loss * log_z**2`` each, have the gradients
        ``grads_C``; overwrites its softmax."""
        scale_C1 = (grads_C / self._head.temperature).unsqueeze(1)
        softmax_C1 = scale_C1
        if z_loss:
            softmax_C1 = scale_C1 * (1 + 2 * z_loss * chunk.log_z).unsqueeze(1)
        grad_CV = chunk.exps.mul_(softmax_C1 / chunk.sums)
        grad_CV = grad_CV.scatter_add_(1, chunk.labels, -scale_C1).to(self._head.dtype)
        grad_CE = linear(grad_CV, self._weight_VE.t())
        self.hidden_TE.index_copy_(0, chunk.places, grad_CE.to(self.hidden_TE.dtype))
        part_VE = linear(grad_CV.t(), chunk.hidden.t())
        if self._sum_VE is None:
            self._sum_VE = part_VE.to(_wide(self._head.dtype))
        else:
            self._sum_VE += part_VE

    def of_weight(self, dtype: torch.dtype) -> torch.Tensor:
        """Return the sum for the weight."""
        if self._sum_VE is None:
            return torch.zeros_like(self._weight_VE, dtype=dtype)
        return self._sum_VE.to(dtype)


class _TokenLosses(torch.autograd.Function):
    """The losses of single tokens; backward goes through the chunks again."""

    @staticmethod
    def forward(
        context: Any,
        hidden_TE: torch.Tensor,
        weight_VE: torch.Tensor,
        labels_T: torch.Tensor,
        head: _Head,
    ) -> torch.Tensor:
        context.save_for_backward(hidden_TE, weight_VE, labels_T)
        context.head = head
        losses_T = hidden_TE.new_zeros(len(labels_T), dtype=_wide(head.dtype))
        with torch.autocast(hidden_TE.device.type, enabled=False):
            for chunk in _chunks(hidden_TE, weight_VE.to(head.dtype), labels_T, head):
                losses_T.index_copy_(0, chunk.places, chunk.losses)
        return losses_T

    @staticmethod
    @once_differentiable
    def backward(context: Any, grad_T: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden_TE, weight_VE, labels_T = context.saved_tensors
        compute_VE = weight_VE.to(context.head.dtype)
        gradients = _Gradients(hidden_TE, compute_VE, context.head)
        with torch.autocast(hidden_TE.device.type, enabled=False):
            for chunk in _chunks(hidden_TE, compute_VE, labels_T, context.head):
                gradients.add(chunk, grad_T.index_select(0, chunk.places))
        return gradients.hidden_TE, gradients.of_weight(weight_VE.dtype), None, None


class _MeanLoss(torch.autograd.Function):
    """The sums of losses and of squares of log z by given shares; forward makes the gradients of
    the first plus ``z_loss`` times the second too when ``training``.

    A factor applied to the loss later reaches them in the backward pass.
    """

    @staticmethod
    def forward(
        context: Any,
        hidden_TE: torch.Tensor,
        weight_VE: torch.Tensor,
        labels_T: torch.Tensor,
        shares_T: torch.Tensor,
        head: _Head,
        z_loss: float,
        training: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        compute_VE = weight_VE.to(head.dtype)
        gradients = _Gradients(hidden_TE, compute_VE, head) if training else None
        loss, z_mean = shares_T.new_zeros(()), shares_T.new_zeros(())
        with torch.autocast(hidden_TE.device.type, enabled=False):
            for chunk in _chunks(hidden_TE, compute_VE, labels_T, head):
                shares_C = shares_T.index_select(0, chunk.places)
                loss += shares_C.dot(chunk.losses)
                if z_loss:
                    z_mean += shares_C.dot(chunk.log_z.square())
                if gradients is not None:
                    gradients.add(chunk, shares_C, z_loss)
        if gradients is not None:
            context.save_for_backward(gradients.hidden_TE, gradients.of_weight(weight_VE.dtype))
        if z_loss:
            loss += z_loss * z_mean
        context.mark_non_differentiable(z_mean)
        return loss, z_mean

    @staticmethod
    @once_differentiable
    def backward(
        context: Any, grad: torch.Tensor, _of_z: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        grad_hidden_TE, grad_weight_VE = context.saved_tensors
        return grad_hidden_TE * grad, grad_weight_VE * grad, None, None, None, None, None
