"""Settings of the RL stage, and where it runs.

Names and defaults follow CWM's GRPO variant (paper §5.2); what the paper does not publish (learning
rate, group size) is marked. The scaled-down values are those of the `tiny` preset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

KINDS = ("fix", "output", "trace")


def _check(holds: bool, field: str, value: object, allowed: str) -> None:
    if not holds:
        raise ValueError(f"rl.{field} = {value!r}: must be {allowed}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskShare:
    """How often prompts of one kind of task are drawn."""

    kind: str
    """fix | output | trace (see `stages.tasks.task`)."""
    share: float
    """Relative weight, > 0; shares need not sum to one."""

    def __post_init__(self) -> None:
        _check(self.kind in KINDS, "mix.kind", self.kind, f"one of {', '.join(KINDS)}")
        _check(self.share > 0, "mix.share", self.share, "> 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class RLSettings:
    """What bears on the result of RL."""

    seed: int = 0
    """Seeds the choice of prompts and the sampler."""
    steps: int = 80
    """Optimiser batches."""
    mix: tuple[TaskShare, ...] = (
        TaskShare(kind="fix", share=0.5),
        TaskShare(kind="output", share=0.5),
    )
    """Which tasks are trained on (CWM: 40 % agentic, 40 % programming, 20 % mathematics)."""
    reward: str = "pass_only"
    """Name of a reward function in `stages.rl.environment`: +1 when the task passes, else -1."""

    max_length: int = 256
    """Longest episode in tokens, prompt and answers; also the constant N of the objective."""
    max_answer_tokens: int = 48
    """Longest single action in tokens."""
    temperature: float = 1.0
    """Sampling temperature; the objective's log-probs are taken at the same one."""

    samples_per_prompt: int = 16
    """Group size G (not published for CWM; its successors use 8)."""
    prompts_per_request: int = 8
    """Prompts that a rollout worker samples in one go."""
    batch_tokens: int = 800
    """Agent tokens with a non-zero advantage that make a batch (paper: 8.4 M to 16.8 M)."""
    max_requests_per_batch: int = 8
    """Requests after which a batch is taken as it is, when nearly no group has a mixed outcome."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Number format of the policy's weights and activations, in trainer and sampler alike."""
    updates_per_batch: int = 1
    """Optimiser steps on one batch; more than one already hurts small models at this rate."""

    clip_low: float = 0.2
    """ε_low of the clipped ratio (paper)."""
    clip_high: float = 0.25
    """ε_high: clip-higher (paper)."""
    max_staleness: int = 8
    """Drop trajectories whose last tokens are older than this many versions; 0 = synchronous and
    deterministic (paper: 100; its successors on the same system: 8)."""
    swap_every: int = 24
    """Steps of generation between a rollout worker's looks for newer weights; 0 = only between
    actions."""
    generation_batch: int = 128
    """Sequences that a rollout worker decodes at once."""
    gibberish_share: float = 0.78
    """A token is rare when its id exceeds this share of the vocabulary (paper: 100000 / 128256)."""
    gibberish_slack: float = 2.0
    """A rare token rejects its trajectory below a log-prob of -log(vocabulary) - this (paper)."""

    solve_rate_low: float = 0.1
    """Prompts solved less often are put aside (paper)."""
    solve_rate_high: float = 0.7
    """Prompts solved more often are put aside (paper)."""
    exploration: float = 0.5
    """Share of draws that take a prompt never tried, while there are any."""
    revisit: float = 0.1
    """Share of draws that take a prompt which was put aside, to refresh its rate."""

    learning_rate: float = 1e-4
    """Peak of AdamW (not published; SSR on the same system: 3e-6 at 32 B parameters)."""
    warmup_steps: int = 5
    """Linear warm-up; constant afterwards."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's moments (paper, pre-training)."""
    weight_decay: float = 0.1
    """AdamW's decay (paper, pre-training)."""
    clip_grad_norm: float = 1.0
    """Gradient norm limit (paper, pre-training)."""

    publish_every: int = 1
    """Batches between versions of the weights that rollout workers see."""
    checkpoint_every: int = 25
    """Batches between resumable checkpoints."""
    validation_prompts: int = 96
    """Held-out prompts scored before and after; 0 = none."""
    validation_samples: int = 8
    """Samples per held-out prompt at temperature 1, beside the greedy one."""
    max_failures: int = 3
    """Times that one request to a rollout worker may fail before the stage gives up."""

    def __post_init__(self) -> None:
        positive = (
            "steps max_answer_tokens temperature prompts_per_request batch_tokens "
            "max_requests_per_batch updates_per_batch learning_rate clip_grad_norm publish_every "
            "checkpoint_every validation_samples max_failures"
        )
        for name in positive.split():
            _check(getattr(self, name) > 0, name, getattr(self, name), "> 0")
        for name in ("max_staleness", "swap_every", "warmup_steps", "validation_prompts"):
            _check(getattr(self, name) >= 0, name, getattr(self, name), ">= 0")
        for name in ("clip_low", "clip_high", "gibberish_share", "exploration", "revisit"):
            _check(0 <= getattr(self, name) <= 1, name, getattr(self, name), "in [0, 1]")
        _check(bool(self.mix), "mix", self.mix, "non-empty")
        _check(self.samples_per_prompt >= 2, "samples_per_prompt", self.samples_per_prompt, ">= 2")
        _check(
            self.max_length > self.max_answer_tokens,
            "max_length",
            self.max_length,
            f"> max_answer_tokens ({self.max_answer_tokens})",
        )
        # else every trajectory would be stale between two versions
        limit = max(self.max_staleness, 1)
        _check(self.publish_every <= limit, "publish_every", self.publish_every, f"<= {limit}")
        window = (self.solve_rate_low, self.solve_rate_high)
        _check(
            0 <= window[0] < window[1] <= 1, "solve_rate_low/high", window, "0 <= low < high <= 1"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RLPlacement:
    """Where RL runs; nothing here changes what synchronous RL computes."""

    workers: int = 1
    """Trainer processes (ZeRO-3 ranks); 0 = everything in the step's own process, without Ray."""
    cpus_per_worker: float = 1.0
    """CPUs of a trainer process."""
    gpus_per_worker: float = 0.0
    """GPUs of a trainer process."""
    threads_per_worker: int = 1
    """Threads of a trainer's tensor operations on CPUs."""
    sequence_parallel: int = 1
    """Trainers that share one micro-batch: each holds a part of its tokens, and some of the heads
    in attention. A divisor of workers and of the model's kv_heads [8]."""
    recompute: Literal["none", "selective", "full"] = "none"
    """What the backward pass computes again instead of keeping it: all within a block, or all but
    matrix products and attention."""
    rollout_workers: int = 1
    """Rollout actors, each with its own model copy and sandbox."""
    cpus_per_rollout: float = 1.0
    """CPUs of a rollout actor, sandboxed programs included."""
    gpus_per_rollout: float = 0.0
    """GPUs of a rollout actor."""
    requests_in_flight: int = 2
    """Requests queued at each rollout actor, so that it never waits for the trainer."""
    micro_batch_tokens: int = 8192
    """Tokens of one forward pass of the trainers that share it; gradients are accumulated over
    several."""
    request_timeout: float = 300.0
    """Seconds after which a silent rollout worker counts as failed."""
    max_failures: int = 3
    """How often Ray restarts the trainer from its last checkpoint, and each rollout actor."""
    weights_folder: str = ""
    """Folder for the versioned weights; "" = the step's scratch folder. /dev/shm: one host only."""
    trainer_resource: str = ""
    """Custom Ray resource that names the trainers' node type; "" places them anywhere."""
    rollout_resource: str = ""
    """Custom Ray resource that names the rollout workers' node type; "" places them anywhere."""

    def __post_init__(self) -> None:
        _check(self.workers >= 0, "placement.workers", self.workers, ">= 0")
        _check(
            self.sequence_parallel >= 1 and max(self.workers, 1) % self.sequence_parallel == 0,
            "placement.sequence_parallel",
            self.sequence_parallel,
            f"a divisor of workers ({self.workers})",
        )
        for name in ("rollout_workers", "requests_in_flight", "micro_batch_tokens"):
            _check(getattr(self, name) >= 1, f"placement.{name}", getattr(self, name), ">= 1")


def trainer_bundle(placement: RLPlacement) -> dict[str, float]:
    """Ray resources of one trainer process."""
    bundle = {"CPU": placement.cpus_per_worker}
    if placement.gpus_per_worker:
        bundle["GPU"] = placement.gpus_per_worker
    if placement.trainer_resource:
        bundle[placement.trainer_resource] = 0.001
    return bundle


def rollout_bundle(placement: RLPlacement) -> dict[str, float]:
    """Ray resources of one rollout actor."""
    bundle = {"CPU": placement.cpus_per_rollout}
    if placement.gpus_per_rollout:
        bundle["GPU"] = placement.gpus_per_rollout
    if placement.rollout_resource:
        bundle[placement.rollout_resource] = 0.001
    return bundle


def bundles(placement: RLPlacement, settings: RLSettings) -> list[dict[str, float]]:
    """Ray resources that the stage holds at once: the trainers, then the rollout actors."""
    del settings
    if not placement.workers:
        return []
    trainers = [trainer_bundle(placement) for _ in range(placement.workers)]
    return trainers + [rollout_bundle(placement) for _ in range(placement.rollout_workers)]
