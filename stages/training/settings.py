"""Settings that pretrain, midtrain and sft share, and where their workers run.

Everything here but `TrainingPlacement` is identity: it changes the weights. The global batch
(``rows_per_step`` rows of ``row_tokens`` tokens) is identity; how many workers share it is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from stages.training.mix import check_mix
from stages.training.world import check_workers

SPECIALS = 256
"""Reserved token ids after the regular vocabulary."""


def require(condition: bool, owner: object, name: str, allowed: str) -> None:
    """Raise ValueError naming the setting, its value and what is allowed, unless ``condition``."""
    if not condition:
        value = getattr(owner, name)
        raise ValueError(f"{type(owner).__name__}.{name} = {value!r}; allowed: {allowed}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSettings:
    """The shape of the model. Paper's values (32 B) in brackets; defaults learn in CPU minutes."""

    hidden_size: int = 96
    """Width of the residual stream [6144]."""
    intermediate_size: int = 256
    """Width of the SwiGLU layer [21504]."""
    layers: int = 3
    """Decoder blocks [64]; every fourth, the first included, attends globally."""
    heads: int = 4
    """Query heads [48]."""
    kv_heads: int = 2
    """Key and value heads [8]."""
    head_dim: int = 24
    """Width of a head [128]."""
    sliding_window: int = 256
    """Tokens a local layer sees, itself included [8192]."""
    rope_theta: float = 10_000.0
    """Base of the rotary frequencies [1e6]."""
    initializer_range: float = 0.1
    """Standard deviation of the weights at the start: about 1/sqrt(hidden_size) [0.02]."""
    scale_residual_init: bool = True
    """Start what writes into the residual stream smaller by sqrt(2 x layers) [unknown]."""
    vocab_size: int = 1024 + SPECIALS
    """Rows of the embedding: at least the tokenizer's size with its 256 specials [128256]."""

    def __post_init__(self) -> None:
        for name in ("hidden_size", "intermediate_size", "layers", "heads", "kv_heads"):
            require(getattr(self, name) >= 1, self, name, "at least 1")
        require(self.sliding_window >= 1, self, "sliding_window", "at least 1")
        require(self.heads % self.kv_heads == 0, self, "kv_heads", f"a divisor of {self.heads}")
        require(self.head_dim % 2 == 0 < self.head_dim, self, "head_dim", "even, at least 2")
        require(self.initializer_range > 0, self, "initializer_range", "above 0")
        require(self.rope_theta > 1, self, "rope_theta", "above 1")
        require(self.vocab_size > SPECIALS, self, "vocab_size", f"above {SPECIALS}")


@dataclass(frozen=True, kw_only=True, slots=True)
class RopeScalingSettings:
    """Llama 3's frequency rescaling, switched on from mid-training (paper: 16, 1, 4).

    The original context is the pre-training context, read from the checkpoint.
    """

    factor: float = 16.0
    """How many times longer than the original context positions may get."""
    low_freq_factor: float = 1.0
    """Wavelengths above original context / this are slowed by ``factor``."""
    high_freq_factor: float = 4.0
    """Wavelengths below original context / this stay as they are."""

    def __post_init__(self) -> None:
        require(self.factor >= 1, self, "factor", "at least 1")
        require(self.low_freq_factor > 0, self, "low_freq_factor", "above 0")
        require(
            self.high_freq_factor > self.low_freq_factor,
            self,
            "high_freq_factor",
            "above low_freq_factor",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class MixEntry:
    """One data set's share of the tokens."""

    dataset: str
    """Name of the step's input that holds the token file."""
    weight: float = 0.0
    """Share of its group's tokens that target epochs leave over; those of a group sum to 1. 0, and
    no epochs, leaves the data set out."""
    epochs: float = 0.0
    """Instead of a weight: how often the stage is to go through the data set [1 to 4]."""
    group: str = ""
    """Which `MixGroup` it belongs to; "" where there are none."""
    long: Literal["split", "truncate", "drop"] = "split"
    """What happens to a document longer than the context: cut into equal pieces (plain text), only
    its beginning kept (chats), or left out."""

    def __post_init__(self) -> None:
        for name in ("weight", "epochs"):
            require(getattr(self, name) >= 0, self, name, "at least 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class MixGroup:
    """A part of the mix with a share of its own, such as rehearsal [0.30]."""

    name: str
    """As the entries' ``group``."""
    weight: float
    """Share of all tokens; those of all groups sum to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LengthBucket:
    """Documents of similar length, which are trained on together: all rows of a step come from one
    bucket, so that no worker waits for another's long document (paper: 16,385, 65,537 and above).
    """

    up_to: int
    """Longest document in tokens; that of the last bucket is the context."""
    reach: int = 0
    """How far back global layers look, in tokens; 0: to the beginning [32,768 in the middle]."""

    def __post_init__(self) -> None:
        require(self.up_to >= 1, self, "up_to", "at least 1")
        require(self.reach >= 0, self, "reach", "at least 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardSettings:
    """What is done about steps that would do harm: they are skipped and counted."""

    spike_sigmas: float = 0.0
    """Skip a step whose loss or gradient norm is so many standard deviations above its recent mean;
    0 skips only what is not finite."""
    window: int = 128
    """Steps that the mean and deviation are taken over."""
    max_skips: int = 10
    """Training fails when so many steps in a row were skipped."""

    def __post_init__(self) -> None:
        require(self.spike_sigmas >= 0, self, "spike_sigmas", "at least 0")
        require(self.window >= 2, self, "window", "at least 2")
        require(self.max_skips >= 1, self, "max_skips", "at least 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerSettings:
    """AdamW on all parameters (paper: β 0.9/0.95, weight decay 0.1, clip 1.0)."""

    beta1: float = 0.9
    """Decay of the first moment."""
    beta2: float = 0.99
    """Decay of the second moment; 0.99 averages longer, for batches of a few hundred tokens."""
    epsilon: float = 1e-8
    """Added to the root of the second moment."""
    weight_decay: float = 0.1
    """Decoupled: each step shrinks weights by learning rate x this."""
    clip: float = 1.0
    """Largest global gradient norm; 0 switches clipping off."""

    def __post_init__(self) -> None:
        for name in ("beta1", "beta2"):
            require(0 <= getattr(self, name) < 1, self, name, "0 <= beta < 1")
        require(self.epsilon > 0, self, "epsilon", "above 0")
        for name in ("weight_decay", "clip"):
            require(getattr(self, name) >= 0, self, name, "at least 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleSettings:
    """Linear warm-up, then ONE cosine over pre- and mid-training (paper: 8e-4 to 8e-6 over 13 T).

    Both stages hold the same values; mid-training continues where pre-training stopped, and how
    many steps either makes never moves the curve.
    """

    peak_learning_rate: float = 1.5e-3
    """Reached after the warm-up."""
    final_fraction: float = 0.01
    """Learning rate at the horizon, as a fraction of the peak."""
    warmup_steps: int = 150
    """Optimizer steps of linear warm-up, from the beginning of pre-training [2000]."""
    horizon_tokens: int = 2_000_000
    """Where the cosine ends; pre- and mid-training together may not use more (nominal) tokens."""

    def __post_init__(self) -> None:
        require(self.peak_learning_rate > 0, self, "peak_learning_rate", "above 0")
        require(0 <= self.final_fraction <= 1, self, "final_fraction", "0 to 1")
        require(self.warmup_steps >= 0, self, "warmup_steps", "at least 0")
        require(self.horizon_tokens >= 1, self, "horizon_tokens", "at least 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSettings:
    """What the three training stages have in common."""

    model: ModelSettings = field(default_factory=ModelSettings)
    """Must agree with the checkpoint's where the stage starts from one."""
    mix: tuple[MixEntry, ...] = ()
    """Where the tokens come from."""
    groups: tuple[MixGroup, ...] = ()
    """Shares of the mix's groups; () where entries have none."""
    buckets: tuple[LengthBucket, ...] = ()
    """Lengths whose documents are trained on together; () puts all into one."""
    steps: int = 3000
    """Optimizer steps of this stage."""
    context_length: int = 256
    """Longest piece of a document that the model sees at once, in tokens."""
    row_tokens: int = 256
    """Room of a row; whole pieces are packed into it and never see one another."""
    rows_per_step: int = 1
    """Rows in the global batch. 256 tokens a step learn most per CPU second at the tiny scale."""
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    z_loss: float = 0.0
    """Weight of the squared log of the softmax's denominator, which keeps logits small."""
    guard: GuardSettings = field(default_factory=GuardSettings)
    """Steps that are skipped."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Number format of weights and activations; the optimizer keeps float32 either way."""
    seed: int = 0
    """Of the data order and, in pre-training, of the weights."""

    def __post_init__(self) -> None:
        for name in ("steps", "rows_per_step"):
            require(getattr(self, name) >= 1, self, name, "at least 1")
        require(self.context_length >= 2, self, "context_length", "at least 2")
        require(self.row_tokens >= self.context_length, self, "row_tokens", ">= context_length")
        check_mix(self.mix, self.groups)
        ends = [bucket.up_to for bucket in self.buckets]
        ascending = ends == sorted(set(ends)) and ends[-1:] in ([], [self.context_length])
        require(ascending, self, "buckets", f"ascending, the last up_to {self.context_length}")
        require(0 <= self.seed < 2**31, self, "seed", "0 to 2**31 - 1")

    @property
    def tokens_per_step(self) -> int:
        """Nominal tokens of the global batch; packing leaves a few per cent of the room empty."""
        return self.row_tokens * self.rows_per_step


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceSettings:
    """What a worker computes on, for the plan's estimates alone."""

    flops_per_second: float = 0.0
    """Of dense matrix products in the stage's precision [989e12: an H100 in bfloat16]; 0: the plan
    says nothing of time."""
    utilisation: float = 0.4
    """Share of it that training is assumed to reach (model FLOPs utilisation)."""
    memory: float = 0.0
    """Bytes [80e9]; 0: the plan does not say whether the stage fits."""
    price_per_hour: float = 0.0
    """In any currency; 0: the plan says nothing of money."""

    def __post_init__(self) -> None:
        for name in ("flops_per_second", "memory", "price_per_hour"):
            require(getattr(self, name) >= 0, self, name, "at least 0")
        require(0 < self.utilisation <= 1, self, "utilisation", "above 0, at most 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingPlacement:
    """Where and how a training stage runs; nothing here changes what is computed but rounding."""

    workers: int = 1
    """Ray Train workers (ZeRO-3 ranks); 0: the step's process."""
    min_workers: int = 0
    """Go on with fewer workers, down to so many, while the cluster has no more; 0: wait for all."""
    sequence_parallel: int = 1
    """Workers that share one row: each holds a part of its tokens, and some of the heads in
    attention. A divisor of workers and of the model's kv_heads."""
    partition_within: int = 0
    """Workers among which (bfloat16) weights are partitioned a second time, so that they are
    gathered within a node: the workers of a node; 0: no second partition."""
    offload: Literal["none", "optimizer", "all"] = "none"
    """What lies in the node's memory instead of the GPU's: optimizer state, or weights too."""
    gradient_dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format in which gradients are summed over workers."""
    cpus_per_worker: float = 1.0
    """CPUs that Ray reserves for a worker."""
    threads_per_worker: int = 1
    """Threads of a worker's tensor operations on CPUs."""
    gpus_per_worker: float = 0.0
    """GPUs that Ray reserves for a worker; at most 1."""
    node_resource: str = ""
    """Custom Ray resource that names the node type; "" places workers anywhere."""
    micro_rows: int = 1
    """Rows in one forward pass; the rest of a worker's share is accumulated."""
    recompute: Literal["none", "selective", "full"] = "none"
    """What the backward pass computes again instead of keeping it: all within a block, or all but
    matrix products and attention."""
    checkpoint_every: int = 0
    """Steps between checkpoints to resume from; 0: a twentieth of the stage's steps."""
    keep_checkpoints: int = 2
    """The last ones that are kept."""
    keep_every: int = 0
    """Keep also every checkpoint at a multiple of so many steps; 0: none."""
    validate_every: int = 0
    """Steps between validations; 0 validates at the end only."""
    validation_rows: int = 64
    """Rows per data set in a validation."""
    samples: int = 2
    """Held-out traces that are written beside the truth at each validation."""
    log_every: int = 25
    """Steps between lines in metrics.jsonl."""
    max_failures: int = 3
    """How often Ray Train restarts the workers from the last checkpoint after losing one."""
    device: DeviceSettings = field(default_factory=DeviceSettings)
    """What a worker computes on: its GPU, or its share of a CPU."""

    def __post_init__(self) -> None:
        require(self.workers >= 0, self, "workers", "at least 0")
        require(self.cpus_per_worker > 0, self, "cpus_per_worker", "above 0")
        require(0 <= self.gpus_per_worker <= 1, self, "gpus_per_worker", "0 to 1")
        require(self.sequence_parallel >= 1, self, "sequence_parallel", "at least 1")
        for name in (
            "partition_within",
            "validate_every",
            "checkpoint_every",
            "keep_every",
            "max_failures",
        ):
            require(getattr(self, name) >= 0, self, name, "at least 0")
        for name in ("threads_per_worker", "micro_rows", "keep_checkpoints", "log_every"):
            require(getattr(self, name) >= 1, self, name, "at least 1")
        require(self.validation_rows >= 1, self, "validation_rows", "at least 1")


def bundles(placement: TrainingPlacement, settings: TrainingSettings) -> list[dict[str, float]]:
    """Return the Ray resources that the workers need at once, or the step's own process does.

    Raises `WorldError` when the workers cannot share the global batch evenly.
    """
    check_workers(placement, settings)
    bundle = {"CPU": placement.cpus_per_worker}
    if placement.gpus_per_worker:
        bundle["GPU"] = placement.gpus_per_worker
    if placement.node_resource:
        bundle[placement.node_resource] = 0.001
    return [dict(bundle) for _ in range(max(placement.workers, 1))]
