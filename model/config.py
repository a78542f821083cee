"""The shape of a CWM, in the words of HF's ``CwmConfig``; the defaults are facebook/cwm.

What is unusual about the architecture: one layer in four attends to everything, the others to a
sliding window, and the cycle starts with a global layer; the rotary frequencies are rescaled (Llama
3's rule) from mid-training on, not before; the output head is not tied to the embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

GLOBAL = "full_attention"
LOCAL = "sliding_attention"


class ConfigError(ValueError):
    """A model configuration that cannot be built; names the field and what is allowed."""


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
        if not self.layer_types:
            kinds = tuple(LOCAL if i % 4 else GLOBAL for i in range(self.num_hidden_layers))
            object.__setattr__(self, "layer_types", kinds)
        self._check()

    def _check(self) -> None:
        sizes = (
            "vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads"
            " num_key_value_heads head_dim sliding_window max_position_embeddings"
        )
        for name in sizes.split():
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("hidden_size", "num_key_value_heads"):
            pair = (self.num_attention_heads, getattr(self, name))
            if max(pair) % min(pair):
                raise ConfigError(
                    f"num_attention_heads {pair[0]} and {name} {pair[1]}: one must divide the other"
                )
        if self.num_key_value_heads > self.num_attention_heads:
            raise ConfigError("num_key_value_heads is larger than num_attention_heads")
        if self.head_dim % 2:
            raise ConfigError(f"head_dim is {self.head_dim}; rotary embedding needs an even number")
        if len(self.layer_types) != self.num_hidden_layers:
            raise ConfigError(
                f"layer_types has {len(self.layer_types)} entries, not {self.num_hidden_layers}"
            )
        if unknown := set(self.layer_types) - {GLOBAL, LOCAL}:
            raise ConfigError(f"layer_types has {sorted(unknown)}; allowed: {GLOBAL}, {LOCAL}")

    def window(self, layer: int) -> int | None:
        """Return how many keys a token sees in ``layer``, itself included; None: all so far."""
        return self.sliding_window if self.layer_types[layer] == LOCAL else None

    def to_hf(self) -> dict[str, Any]:
        """Return the content of ``config.json`` as transformers' ``CwmConfig`` reads it."""
        own = {"rope_theta", "rope_scaling", "eos_token_ids", "layer_types"}
        record = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in own}
        return record | {
            "architectures": ["CwmForCausalLM"],
            "model_type": "cwm",
            "hidden_act": "silu",
            "attention_dropout": 0.0,
            "tie_word_embeddings": False,
            "layer_types": list(self.layer_types),
            "eos_token_id": list(self.eos_token_ids),
            "rope_parameters": _rope_to_hf(self.rope_theta, self.rope_scaling),
        }

    @classmethod
    def from_hf(cls, record: Mapping[str, Any]) -> CWMConfig:
        """Build the configuration from a ``config.json``; `ConfigError` if it isn't a CWM's."""
        if record.get("model_type") != "cwm":
            raise ConfigError(f"model_type is {record.get('model_type')!r}; expected 'cwm'")
        given = {f.name: record[f.name] for f in fields(cls) if f.name in record}
        given.pop("rope_scaling", None)
        if rope := record.get("rope_parameters") or record.get("rope_scaling"):
            theta, scaling = _rope_from_hf(rope, record.get("rope_theta", cls.rope_theta_default()))
            given |= {"rope_theta": theta, "rope_scaling": scaling}
        eos = record.get("eos_token_id")
        if eos is not None:
            given["eos_token_ids"] = (eos,) if isinstance(eos, int) else tuple(eos)
        given["layer_types"] = tuple(record.get("layer_types") or ())
        return cls(**given)

    @staticmethod
    def rope_theta_default() -> float:
        """Return CWM's RoPE base, for configurations that do not state it."""
        return 1e6


def _rope_to_hf(theta: float, scaling: RopeScaling | None) -> dict[str, Any]:
    if scaling is None:
        return {"rope_type": "default", "rope_theta": theta}
    return {
        "rope_type": "llama3",
        "rope_theta": theta,
        "factor": scaling.factor,
        "low_freq_factor": scaling.low_freq_factor,
        "high_freq_factor": scaling.high_freq_factor,
        "original_max_position_embeddings": scaling.original_context,
    }


def _rope_from_hf(rope: Mapping[str, Any], theta: float) -> tuple[float, RopeScaling | None]:
    kind = rope.get("rope_type", "default")
    theta = rope.get("rope_theta", theta)
    if kind == "default":
        return theta, None
    if kind != "llama3":
        raise ConfigError(f"rope_type is {kind!r}; a CWM has 'default' or 'llama3'")
    return theta, RopeScaling(
        factor=rope["factor"],
        original_context=rope["original_max_position_embeddings"],
        low_freq_factor=rope["low_freq_factor"],
        high_freq_factor=rope["high_freq_factor"],
    )


def layer_parameters(config: CWMConfig) -> int:
    """Return the matrix parameters of one decoder layer (without its two norms)."""
    width = config.head_dim * (2 * config.num_attention_heads + 2 * config.num_key_value_heads)
    return config.hidden_size * (width + 3 * config.intermediate_size)


def parameter_count(config: CWMConfig) -> int:
    """Return the exact number of parameters, without building the model."""
    norms = config.hidden_size * (2 * config.num_hidden_layers + 1)
    ends = 2 * config.vocab_size * config.hidden_size
    return config.num_hidden_layers * layer_parameters(config) + norms + ends


def flops_per_token(config: CWMConfig, context_length: int) -> float:
    """Return forward FLOPs per token, averaged over a document of ``context_length`` tokens.

    Two per parameter in a matrix product (the embedding is a look-up) and four per head dimension
    and visible key; training costs three times as much.
    """
    matrices = config.num_hidden_layers * layer_parameters(config)
    matrices += config.vocab_size * config.hidden_size
    keys = 0.0
    for layer in range(config.num_hidden_layers):
        window = min(config.window(layer) or context_length, context_length)
        # a token at position p sees min(p + 1, window) keys
        keys += window - window * (window - 1) / (2 * context_length)
    return 2.0 * matrices + 4.0 * config.num_attention_heads * config.head_dim * keys
