"""Cross-entropy of a linear head without the full matrix of logits.

Logits of 131,072 tokens over 128,256 words are 67 GB in float32. Here a chunk of tokens is held at
a time, in the forward and again in the backward pass, and the result equals the plain computation.

Shape suffixes: T tokens, E hidden width, V vocabulary, C tokens of a chunk.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

IGNORED = -100
"""The label of a token whose prediction is not scored."""

_LOGITS_AT_ONCE = 1 << 22  # below this many logits the plain computation is faster
_CHUNK = 512  # tokens


def token_losses(
    hidden_TE: torch.Tensor,
    weight_VE: torch.Tensor,
    labels_T: torch.Tensor,
    *,
    temperature: float = 1.0,
    chunk: int | None = None,
) -> torch.Tensor:
    """Return each token's negative log-likelihood [T] in float32 nats, 0 where the label is
    `IGNORED`.

    ``temperature`` divides the logits. ``chunk`` (tokens) forces the chunked computation; by
    default it is used when the logits are many.
    """
    if chunk is None and hidden_TE.shape[0] * weight_VE.shape[0] <= _LOGITS_AT_ONCE:
        logits = F.linear(hidden_TE, weight_VE).float()
        if temperature != 1.0:
            logits = logits / temperature
        return F.cross_entropy(logits, labels_T, ignore_index=IGNORED, reduction="none")
    losses: torch.Tensor = _ChunkedLosses.apply(
        hidden_TE, weight_VE, labels_T, temperature, chunk or _CHUNK
    )
    return losses


def weighted_mean(
    losses_T: torch.Tensor, labels_T: torch.Tensor, weights_T: torch.Tensor | None
) -> torch.Tensor:
    """Return the scalar sum(w * loss) / sum(w) over the scored tokens; 0 when none is."""
    scored = (labels_T != IGNORED).to(losses_T.dtype)
    weights = scored if weights_T is None else scored * weights_T
    return (losses_T * weights).sum() / weights.sum().clamp(min=1e-9)


class _ChunkedLosses(torch.autograd.Function):
    """Chunk by chunk forward; backward computes each chunk's logits again and uses the incoming
    gradient.

    (Gradients computed already in the forward pass would miss factors that are applied to the loss
    later.)
    """

    @staticmethod
    def forward(
        context: Any,
        hidden_TE: torch.Tensor,
        weight_VE: torch.Tensor,
        labels_T: torch.Tensor,
        temperature: float,
        chunk: int,
    ) -> torch.Tensor:
        losses, normalisers = [], []
        for hidden_CE, labels_C in zip(hidden_TE.split(chunk), labels_T.split(chunk), strict=True):
            logits_CV = F.linear(hidden_CE, weight_VE).float() / temperature
            normaliser_C = logits_CV.logsumexp(-1)
            true_C = logits_CV.gather(1, labels_C.clamp(min=0).unsqueeze(1)).squeeze(1)
            losses.append((normaliser_C - true_C).masked_fill(labels_C == IGNORED, 0.0))
            normalisers.append(normaliser_C)
        context.save_for_backward(hidden_TE, weight_VE, labels_T, torch.cat(normalisers))
        context.temperature, context.chunk = temperature, chunk
        return torch.cat(losses)

    @staticmethod
    def backward(
        context: Any, grad_T: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, None, None, None]:
        hidden_TE, weight_VE, labels_T, normalisers_T = context.saved_tensors
        scale_T = (grad_T / context.temperature).masked_fill(labels_T == IGNORED, 0.0)
        grad_hidden_TE = torch.empty_like(hidden_TE)
        grad_weight_VE = torch.zeros(weight_VE.shape, dtype=torch.float32, device=weight_VE.device)
        for start in range(0, len(labels_T), context.chunk):
            part = slice(start, start + context.chunk)
            logits_CV = F.linear(hidden_TE[part], weight_VE).float() / context.temperature
            grad_CV = (logits_CV - normalisers_T[part].unsqueeze(1)).exp_()
            grad_CV.scatter_add_(
                1,
                labels_T[part].clamp(min=0).unsqueeze(1),
                torch.full_like(grad_CV[:, :1], -1.0),
            )
            grad_CV *= scale_T[part].unsqueeze(1)
            grad_CV = grad_CV.to(weight_VE.dtype)
            grad_hidden_TE[part] = grad_CV @ weight_VE
            grad_weight_VE += (grad_CV.T @ hidden_TE[part]).float()
        return grad_hidden_TE, grad_weight_VE.to(weight_VE.dtype), None, None, None
