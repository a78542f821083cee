"""The shape of a CWM, in the words of HF's ``CwmConfig``; the defaults are facebook/cwm.

What is unusual about the architecture: one layer in four attends to everything, the others to a
sliding window, and the cycle starts with a global layer; the rotary frequencies are rescaled (Llama
3's rule) from mid-training on, not before; the output head is not tied to the embedding.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

GLOBAL = "full_attention"
LOCAL = "sliding_attention"

MAX_LAYERS = 10_000
"""More is a mistake."""

_SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "sliding_window",
    "max_position_embeddings",
)


class ConfigError(ValueError):
    """A model configuration that cannot be built; names the field and what is allowed."""


def _check_counts(config: Any, names: Iterable[str]) -> None:
    for name in names:
        value = getattr(config, name)
        if type(value) is not int or value < 1:  # True is no count
            raise ConfigError(f"{name} is {value!r}; it must be an integer of at least 1")


def _check_numbers(config: Any, names: Iterable[str]) -> None:
    """Check that fields are positive, and store them as floats: transformers takes no other."""
    for name in names:
        value = getattr(config, name)
        if type(value) not in (int, float) or not 0 < value < math.inf:
            raise ConfigError(f"{name} is {value!r}; it must be a number above 0")
        object.__setattr__(config, name, float(value))


@dataclass(frozen=True, kw_only=True, slots=True)
class RopeScaling:
    """Llama 3's rescaling of the rotary frequencies (HF ``rope_type`` "llama3"); no attention
    scale.

    Wavelengths longer than ``original_context / low_freq_factor`` are stretched ``factor`` times,
    those shorter than ``original_context / high_freq_factor`` are left alone, those between are
    interpolated.
    """

    factor: float = 16.0
    original_context: int = 8192  # tokens; the context of pre-training
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0

    def __post_init__(self) -> None:
        _check_counts(self, ("original_context",))
        _check_numbers(self, ("factor", "low_freq_factor", "high_freq_factor"))
        if self.factor < 1:
            raise ConfigError(f"factor is {self.factor}; rescaling needs at least 1")
        if self.low_freq_factor >= self.high_freq_factor:
            raise ConfigError(
                f"low_freq_factor is {self.low_freq_factor}; it must be less than"
                f" high_freq_factor, {self.high_freq_factor}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class CWMConfig:
    """All that fixes a CWM's parameters and function. `ConfigError` for impossible shapes."""

    vocab_size: int = 128_256  # 128,000 regular tokens and the 256-slot special block
    hidden_size: int = 6144
    intermediate_size: int = 21_504
    num_hidden_layers: int = 64
    num_attention_heads: int = 48
    num_key_value_heads: int = 8
    head_dim: int = 128  # independent of hidden_size / num_attention_heads
    rms_norm_eps: float = 1e-5
    rope_theta: float = 1e6
    rope_scaling: RopeScaling | None = RopeScaling()  # None: plain RoPE, as in pre-training
    max_position_embeddings: int = 131_072  # tokens
    sliding_window: int = 8192  # keys a token sees in a local layer, itself included
    layer_types: tuple[str, ...] = ()  # () becomes: global where i % 4 == 0, else local
    initializer_range: float = 0.02  # standard deviation of every weight matrix at the start
    # divide the start of what writes into the residual stream (o_proj, down_proj) by sqrt(2 *
    # layers)
    scale_residual_init: bool = False
    bos_token_id: int = 128_000
    eos_token_ids: tuple[int, ...] = (128_001, 128_008, 128_009)  # end_of_text, eom, eot
    pad_token_id: int | None = None

    def __post_init__(self) -> None:
        _check_counts(self, _SIZES)
        if self.num_hidden_layers > MAX_LAYERS:  # also keeps a typing error from filling memory
            raise ConfigError(f"num_hidden_layers is {self.num_hidden_layers}, over {MAX_LAYERS}")
        if not self.layer_types:
            kinds = tuple(LOCAL if i % 4 else GLOBAL for i in range(self.num_hidden_layers))
            object.__setattr__(self, "layer_types", kinds)
        self._check()

    def _check(self) -> None:
        _check_numbers(self, ("rms_norm_eps", "rope_theta", "initializer_range"))
        # the first is transformers' demand, though head_dim need not be their quotient
        for whole, part in (
            ("hidden_size", "num_attention_heads"),
            ("num_attention_heads", "num_key_value_heads"),
        ):
            if getattr(self, whole) % getattr(self, part):
                raise ConfigError(
                    f"{whole} is {getattr(self, whole)}; it must be a multiple of {part},"
                    f" {getattr(self, part)}"
                )
        if self.head_dim % 2:
            raise ConfigError(f"head_dim is {self.head_dim}; rotary embedding needs an even number")
        if len(self.layer_types) != self.num_hidden_layers:
            raise ConfigError(
                f"layer_types has {len(self.layer_types)} entries, not {self.num_hidden_layers}"
            )
        if unknown := [kind for kind in self.layer_types if kind not in (GLOBAL, LOCAL)]:
            raise ConfigError(f"layer_types has {unknown[0]!r}; allowed: {GLOBAL}, {LOCAL}")
        if type(self.scale_residual_init) is not bool:
            raise ConfigError(f"scale_residual_init is {self.scale_residual_init!r}, no boolean")
        self._check_tokens()

    def _check_tokens(self) -> None:
        for token in (self.bos_token_id, *self.eos_token_ids):
            if type(token) is not int:
                raise ConfigError(f"a bos or eos token is {token!r}; it must be an integer")
        pad = self.pad_token_id
        if pad is not None and (type(pad) is not int or not 0 <= pad < self.vocab_size):
            raise ConfigError(
                f"pad_token_id is {pad!r}; it must be None or lie in the vocabulary of"
                f" {self.vocab_size}"
            )

    def window(self, layer: int) -> int | None:
        """Return how many keys a token sees in ``layer``, itself included; None: all so far."""
        return self.sliding_window if self.layer_types[layer] == LOCAL else None

    def to_hf(self) -> dict[str, Any]:
        """Return the content of ``config.json``; see `model.hf_config`."""
        from model.hf_config import to_hf  # which imports this module

        return to_hf(self)

    @classmethod
    def from_hf(cls, record: Mapping[str, Any]) -> CWMConfig:
        """Build the configuration from a ``config.json``; see `model.hf_config`."""
        from model.hf_config import from_hf

        return from_hf(record)


def layer_parameters(config: CWMConfig) -> int:
    """Return the matrix parameters of one decoder layer (without its two norms)."""
    width = config.head_dim * (2 * config.num_attention_heads + 2 * config.num_key_value_heads)
    return config.hidden_size * (width + 3 * config.intermediate_size)


def parameter_count(config: CWMConfig) -> int:
    """Return the exact number of parameters, without building the model."""
    norms = config.hidden_size * (2 * config.num_hidden_layers + 1)
    ends = 2 * config.vocab_size * config.hidden_size
    return config.num_hidden_layers * layer_parameters(config) + norms + ends


def attended_pairs(length: int, window: int | None) -> int:
    """Return how many (query, key) pairs a causal layer computes in a document of ``length``.

    ``window`` is how many keys a token sees, itself included; None: all so far.
    """
    seen = min(window or length, length)
    return length * seen - seen * (seen - 1) // 2  # the first tokens have fewer keys before them


def flops_per_token(config: CWMConfig, context_length: int) -> float:
    """Return forward FLOPs per token, averaged over a document of ``context_length`` tokens.

    Two per parameter in a matrix product (the embedding is a look-up) and four per head dimension
    and visible key; training costs three times as much.
    """
    matrices = config.num_hidden_layers * layer_parameters(config)
    matrices += config.vocab_size * config.hidden_size
    layers = range(config.num_hidden_layers)
    pairs = sum(attended_pairs(context_length, config.window(layer)) for layer in layers)
    width = config.num_attention_heads * config.head_dim
    return 2.0 * matrices + 4.0 * width * pairs / context_length
