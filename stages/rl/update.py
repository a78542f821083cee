"""One batch of items to optimiser steps: the only place where the policy changes."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from stages.rl.batch import MicroBatch, pack, rounds
from stages.rl.learner import Learner
from stages.rl.objective import clipped_objective
from stages.rl.selection import Item
from stages.rl.settings import RLSettings


def learning_rate(settings: RLSettings, updates: int) -> float:
    """Linear warm-up, then constant; ``updates`` counts the steps already taken."""
    warm = min(1.0, (updates + 1) / max(settings.warmup_steps, 1))
    return settings.learning_rate * warm


def _accumulate(
    learner: Learner, micro: MicroBatch, settings: RLSettings, *, last: bool
) -> list[float]:
    """Add one micro-batch's gradient; return its sums (objective, tokens, clipped, …)."""
    mask = micro.mask
    log_prob_T = learner.log_probs(micro, settings.temperature)
    objective, sums = clipped_objective(
        log_prob_T,
        micro.old_log_probs,
        micro.advantages,
        mask,
        normaliser=settings.max_length,
        clip_low=settings.clip_low,
        clip_high=settings.clip_high,
    )
    learner.backward(-objective, last=last)
    with torch.no_grad():
        fresh = mask & micro.fresh
        gap = torch.where(fresh, log_prob_T - micro.old_log_probs, 0.0).abs().sum()
    return [
        float(objective.detach()),
        float(sums.tokens),
        sums.clipped,
        sums.log_prob_gap,
        sums.surprise,
        float(gap),
        float(fresh.sum()),
    ]


def update(
    learner: Learner,
    items: Sequence[Item],
    settings: RLSettings,
    *,
    updates: int,
    micro_batch_tokens: int,
) -> dict[str, float]:
    """Take the batch's optimiser steps on all ranks; return the metrics of the first one.

    ``items`` is the whole batch on every rank; ``updates`` counts the steps already taken.
    """
    metrics: dict[str, float] = {}
    parallel = learner.parallel
    runs = rounds(items, parallel.data_size, parallel.data_rank, micro_batch_tokens)
    for _ in range(settings.updates_per_batch):
        sums = [0.0] * 7
        for number, run in enumerate(runs):
            micro = parallel.shard(pack(run, learner.device))
            part = _accumulate(learner, micro, settings, last=number == len(runs) - 1)
            sums = [a + b for a, b in zip(sums, part, strict=True)]
        rate = learning_rate(settings, updates)
        norm = learner.step(rate)
        updates += 1
        objective, tokens, clipped, gap, surprise, fresh_gap, fresh = learner.total(sums)
        metrics = metrics or {
            "loss": -objective,
            "grad_norm": norm,
            "learning_rate": rate,
            "clip_fraction": clipped / max(tokens, 1.0),
            "log_prob_gap": gap / max(tokens, 1.0),
            "entropy": surprise / max(tokens, 1.0),
        }
        if fresh and "log_prob_gap_fresh" not in metrics:
            metrics["log_prob_gap_fresh"] = fresh_gap / fresh
    return metrics
