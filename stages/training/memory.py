"""What a training worker holds in memory, computed from shapes alone, without importing torch.

ZeRO-3 with AdamW, as `cluster.deepspeed.config` sets it up. P parameters, N workers; a weight has b
bytes (4, or 2 in bfloat16), T tokens of a forward pass lie with a worker. In elements per token: E
the width, Q and K the heads' widths together (queries; keys or values), F the inner width of
SwiGLU; L layers, V words.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from model.config import CWMConfig, layer_parameters, parameter_count
from stages.training.settings import TrainingPlacement, TrainingSettings

BUCKET = 500_000_000
"""Gradients that are summed over workers at once (`cluster.deepspeed.config.LARGEST_BUCKET`)."""
LIVE = 1_000_000_000
"""Weights that may be whole at a time, and elements that AdamW updates at once: DeepSpeed's
stage3_max_reuse_distance and sub_group_size."""
CHUNK = 512
"""Tokens whose logits are held at a time (`model.loss.CHUNK`)."""

FORMULAS = {
    "parameters": "P; of each b bytes (4, or 2 in bfloat16); N workers; L layers of width E, heads'"
    " widths together Q (queries) and K (keys), SwiGLU's F; V words",
    "state bytes": "P / N x (b weights + 4 gradients + 4 float32 weights + 8 AdamW's moments)"
    " + b P / partition_within; offload moves all but the weights, or all",
    "gathered bytes": "b x min(P, 1e9 + largest block) with several workers; + b x its gradients",
    "buffer bytes": "min(P, 5e8) x gradient_dtype, gradients on their way to other workers",
    "activation bytes": "b T x L x kept; kept = E (recompute full), 3E+2Q+2K+2F (selective),"
    " 4E+2Q+2K+3F (none); T = micro_rows x row_tokens / sequence_parallel",
    "working bytes": "the most of: a block at work, b T (4F+2E + what is recomputed); the loss,"
    " 8 V E + 12 V x 512; AdamW's step, 4 min(P / N, 1e9) less what the passes held",
    "memory per GPU bytes": "the sum of these; not in it: fragmentation, kernels' own workspaces",
    "host memory bytes": "per worker: 12 P / N, the checkpoint being written; what is offloaded",
}
"""What each row is, for people."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes per worker. All but ``host`` lie on the device, which is the host where that is a
    CPU."""

    state: float
    """Its share of weights, gradients and optimizer."""
    gathered: float
    """Weights that are whole while they are used, and a block's gradients."""
    buffer: float
    """Gradients on their way to the other workers."""
    activation: float
    """What the forward pass keeps for the backward pass."""
    working: float
    """The most that anything takes for a moment on top of that."""
    host: float
    """In the node's memory: the copy of a checkpoint that is being written, what is offloaded."""

    @property
    def total(self) -> float:
        """What the device must hold."""
        return sum(asdict(self).values()) - self.host


def memory(config: CWMConfig, settings: TrainingSettings, placement: TrainingPlacement) -> Memory:
    """Return what a worker holds at its peak."""
    parameters, workers = parameter_count(config), max(placement.workers, 1)
    width = 4 if settings.precision == "float32" else 2
    block = layer_parameters(config) + 2 * config.hidden_size
    state, host = _state(parameters, width, placement)
    several = workers > 1 or placement.offload == "all"
    gathered = float(min(parameters, LIVE + block) if several else 0)
    tokens = placement.micro_rows * settings.row_tokens / placement.sequence_parallel
    kept, again, passing = _per_token(config, placement)
    activation = width * tokens * (config.num_hidden_layers * kept + 3 * config.hidden_size)
    words = config.vocab_size * config.hidden_size
    loss = 8.0 * words + 12.0 * config.vocab_size * min(CHUNK, tokens)
    step = 4.0 * min(parameters / workers, LIVE)
    gathered = width * (gathered + block)
    return Memory(
        state=state,
        gathered=gathered,
        buffer=min(BUCKET, parameters) * (2.0 if placement.gradient_dtype == "bfloat16" else 4.0),
        activation=activation,
        working=max(width * tokens * (again + passing), loss, step - activation - gathered),
        host=host,
    )


def _state(parameters: int, width: int, placement: TrainingPlacement) -> tuple[float, float]:
    """Return the bytes of a worker's share on its device, and on the host."""
    share = parameters / max(placement.workers, 1)
    weights, copied = width * share, 12 * share
    if 1 < placement.partition_within < placement.workers:
        weights += width * parameters / placement.partition_within
    if placement.offload == "none":
        return weights + 16 * share, copied
    offloaded = 20 * share  # the gradients twice
    if placement.offload == "optimizer":
        return weights, copied + offloaded
    return 0.0, copied + offloaded + weights


def _per_token(config: CWMConfig, placement: TrainingPlacement) -> tuple[int, int, int]:
    """Return elements per token: that a block keeps, computes again, and has in passing.

    So it is on a GPU; on a CPU torch's norms keep their quotient too, 2E without recomputation.
    """
    width, inner = config.hidden_size, config.intermediate_size
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    everything = 4 * width + 2 * queries + 2 * keys + 3 * inner
    kept = {
        "none": everything,
        "selective": 3 * width + 2 * queries + 2 * keys + 2 * inner,
        "full": width,
    }[placement.recompute]
    return kept, everything - kept, 4 * inner + 2 * width
