"""HF's ``config.json`` and `CWMConfig`: every field of transformers' ``CwmConfig``, both ways.

A field that would change what the model computes, to something that this model does not do, is
refused by name (`FIXED`). What is left is ignored: it says how to run the model (``use_cache``,
``dtype``, ``return_dict``, ``output_attentions``), describes other tasks (``id2label``), or has no
effect in ``CwmForCausalLM`` (``pretraining_tp``, ``chunk_size_feed_forward``, any unknown name).

Source: transformers 5.23, ``models/cwm/configuration_cwm.py`` and ``modeling_rope_utils.py``; where
a record leaves something out or says it twice, what transformers makes of it is what counts here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from model.config import GLOBAL, LOCAL, ConfigError, CWMConfig, RopeScaling

FIXED: dict[str, Any] = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "attention_dropout": 0.0,
    "tie_word_embeddings": False,
    "is_encoder_decoder": False,
    "partial_rotary_factor": 1.0,
    "per_layer_config": {},
    "quantization_config": {},
}
"""What a CWM cannot have otherwise; null stands for the value here."""

_WRITTEN = {name: FIXED[name] for name in list(FIXED)[:5]} | {
    "architectures": ["CwmForCausalLM"],
    "model_type": "cwm",
    "use_cache": True,
    "pretraining_tp": 1,
}

_OWN = {"rope_theta", "rope_scaling", "eos_token_ids", "layer_types"}
"""Fields that HF names or nests in another way; all others have HF's name."""


def to_hf(config: CWMConfig) -> dict[str, Any]:
    """Return the content of ``config.json``, as transformers' ``AutoConfig`` reads it."""
    record = {f.name: getattr(config, f.name) for f in fields(config) if f.name not in _OWN}
    return record | {
        **_WRITTEN,
        "layer_types": list(config.layer_types),
        "eos_token_id": list(config.eos_token_ids),
        "rope_parameters": _rope_to_hf(config.rope_theta, config.rope_scaling),
    }


def from_hf(record: Mapping[str, Any]) -> CWMConfig:
    """Build the configuration from a ``config.json``; `ConfigError` if it is not a CWM's."""
    if record.get("model_type") != "cwm":
        raise ConfigError(f"model_type is {record.get('model_type')!r}; expected 'cwm'")
    _check_fixed(record)
    given = {f.name: record[f.name] for f in fields(CWMConfig) if f.name in record}
    for name in _OWN & set(given):
        del given[name]
    # transformers lets the older name win over the newer one
    if rope := record.get("rope_scaling") or record.get("rope_parameters"):
        given |= _rope_from_hf(rope, record)
    elif record.get("rope_parameters") is not None:  # {}: unscaled
        given |= {"rope_theta": float(record.get("rope_theta", 1e6)), "rope_scaling": None}
    if (eos := record.get("eos_token_id")) is not None:
        given["eos_token_ids"] = tuple(eos) if isinstance(eos, list | tuple) else (eos,)
    if (kinds := record.get("layer_types")) is not None:
        if not isinstance(kinds, list | tuple) or not kinds:
            raise ConfigError(f"layer_types is {kinds!r}; expected a list, an entry per layer")
        given["layer_types"] = tuple(kinds)
    return CWMConfig(**given)


def _check_fixed(record: Mapping[str, Any]) -> None:
    bad = [
        f"{name} is {record[name]!r}, not {value!r}"
        for name, value in FIXED.items()
        if record.get(name) not in (None, value)
    ]
    if bad:
        raise ConfigError(f"not what a CWM computes: {'; '.join(bad)}")


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


def _rope_from_hf(rope: Any, record: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(rope, Mapping) or {GLOBAL, LOCAL} & set(rope):
        raise ConfigError(f"rope_parameters is {rope!r}; expected one object for all layers")
    _check_fixed(rope)  # partial_rotary_factor may stand here
    kind = rope.get("rope_type", rope.get("type", "default"))
    theta = rope.get("rope_theta", record.get("rope_theta", 1e6))
    if kind == "default":
        return {"rope_theta": theta, "rope_scaling": None}
    if kind != "llama3":
        raise ConfigError(f"rope_type is {kind!r}; a CWM has 'default' or 'llama3'")
    if missing := {"factor", "low_freq_factor", "high_freq_factor"} - set(rope):
        raise ConfigError(f"rope_parameters lacks {', '.join(sorted(missing))}")
    original = rope.get("original_max_position_embeddings")
    if original is None:
        original = record.get("max_position_embeddings", CWMConfig().max_position_embeddings)
    scaling = RopeScaling(
        factor=rope["factor"],
        original_context=original,
        low_freq_factor=rope["low_freq_factor"],
        high_freq_factor=rope["high_freq_factor"],
    )
    return {"rope_theta": theta, "rope_scaling": scaling}
