"""CWM's policy objective: group advantages, the clipped sum, and what is kept out of it.

::

    J = (1/N) Σ_i Σ_t M_it · min(ρ_it A_i, clip(ρ_it, 1 - ε_low, 1 + ε_high) A_i)
    ρ_it = exp(log π(y_it) - log π_old(y_it)),   A_i = R_i - μ,   μ = Σ R_i L_i / Σ L_i

L_i counts the agent's tokens. No division by a standard deviation or by a length, no KL term; N is
the maximal context length. π_old are the sampler's own log-probs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch


def group_advantages(returns: Sequence[float], lengths: Sequence[int]) -> list[float]:
    """Each return minus the group's mean, weighted by agent tokens (``lengths``)."""
    total = sum(lengths)
    if total == 0:
        return [0.0] * len(returns)
    mean = sum(r * n for r, n in zip(returns, lengths, strict=True)) / total
    # Equal returns must give exactly zero: the weighted mean may miss them by a rounding error.
    return [0.0 if math.isclose(r, mean, abs_tol=1e-9) else r - mean for r in returns]


def is_gibberish(
    tokens: Sequence[int],
    log_probs: Sequence[float],
    *,
    vocabulary: int,
    share: float = 0.78,
    slack: float = 2.0,
) -> bool:
    """Whether any agent token is both rare (a high id) and improbable under the sampler."""
    rare, improbable = share * vocabulary, -math.log(vocabulary) - slack
    return any(t > rare and p < improbable for t, p in zip(tokens, log_probs, strict=True))


def is_stale(end_version: int, version: int, max_staleness: int) -> bool:
    """Whether a trajectory's most recent tokens come from a policy that is too old."""
    return version - end_version > max_staleness


@dataclass(frozen=True, slots=True)
class ObjectiveSums:
    """Sums over one micro-batch's agent tokens; detached, so that ranks can add them up."""

    tokens: int
    clipped: float
    """Tokens whose gradient the clip removed."""
    log_prob_gap: float
    """Σ |log π - log π_old|."""
    surprise: float
    """Σ -log π_old: an unbiased estimate of the policy's summed entropy at sampling."""


def clipped_objective(
    log_prob_T: torch.Tensor,
    old_log_prob_T: torch.Tensor,
    advantage_T: torch.Tensor,
    mask_T: torch.Tensor,
    *,
    normaliser: float,
    clip_low: float = 0.2,
    clip_high: float = 0.25,
) -> tuple[torch.Tensor, ObjectiveSums]:
    """Return (J over the tokens where ``mask_T`` holds, sums for the metrics); arguments [T]."""
    # Masked positions become ρ = 1 before exp, so that no infinity can reach the gradient.
    change_T = torch.where(mask_T, log_prob_T - old_log_prob_T, 0.0)
    ratio_T = torch.exp(change_T)
    plain_T = ratio_T * advantage_T
    clipped_T = torch.clamp(ratio_T, 1.0 - clip_low, 1.0 + clip_high) * advantage_T
    terms_T = torch.where(mask_T, torch.minimum(plain_T, clipped_T), 0.0)
    with torch.no_grad():
        sums = ObjectiveSums(
            tokens=int(mask_T.sum()),
            clipped=float(((clipped_T < plain_T) & mask_T).sum()),
            log_prob_gap=float(change_T.abs().sum()),
            surprise=float(-torch.where(mask_T, old_log_prob_T, 0.0).sum()),
        )
    return terms_T.sum() / normaliser, sums
