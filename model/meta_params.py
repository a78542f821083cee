"""Meta's ``params.json`` and `CWMConfig`, both ways.

Sources, by field (all of github.com/facebookresearch/cwm at 7930e02; no ``params.json`` of released
weights was seen, so the values in it are not known, only the names):

- ``cwm/fastgen/utils/loading.py`` reads two top-level entries: ``model``, and the tokenizer's name
  at ``tokenizer.name`` (``data.tokenizer.name`` in a trainer's file). Others are ignored here too.
- ``cwm/model/transformer.py`` has ``model``'s fields and their defaults (``TransformerArgs``,
  ``ScaledRoPEArgs``, ``WindowAttentionArgs``), the rule of the feed-forward's size and the rule of
  which layers are global. ``cwm/common/params.py`` merges the file into these classes with
  OmegaConf, which refuses other names: so an unknown field is an error here as well, and numbers
  declared as integers are written as integers.
- ``cwm/fastgen/forward.py`` gives the window: flash attention's ``window_left`` is the window minus
  one, so that the window counts the token itself, as `CWMConfig.sliding_window` does. It masks
  causally whatever ``attn_bias_type`` says.
- What Meta's file has no place for (token ids, the spread of initial weights) stands in an entry of
  our own, ``config_json``. Without it the ids follow from the vocabulary's size by
  ``cwm/text/tokenizers.py``: 256 special tokens come last.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from model.config import GLOBAL, LOCAL, MAX_LAYERS, ConfigError, CWMConfig, RopeScaling
from model.tokens import RESERVED, SPECIALS

TOKENIZER = "cwm_instruct"
"""Meta's name of CWM's tokenizer; its loader looks for ``tokenizer.model`` in the directory."""

_ROPE_DEFAULTS: dict[str, Any] = {
    "scale_factor": 8,
    "old_context_len": 8192,
    "low_freq_factor": 1,
    "high_freq_factor": 4,
    "use_attn_scale": False,
}
_WINDOW_DEFAULTS: dict[str, Any] = {
    "window_pattern": 6,
    "global_window": None,
    "local_window": None,
    "global_last_layer": True,
}
_DEFAULTS: dict[str, Any] = {
    "dim": 512,
    "n_layers": 8,
    "n_heads": 8,
    "n_kv_heads": None,
    "head_dim": None,
    "max_seq_len": 1024,
    "vocab_size": -1,
    "ffn_dim_multiplier": None,
    "ffn_exp": 4,
    "multiple_of": 256,
    "norm_eps": 1e-5,
    "pos_embed_impl": "rope",
    "rope_theta": 10_000.0,
    "scaled_rope": {},
    "window_attn": None,
    "attn_impl": "xformers",
    "attn_bias_type": None,
    "q_lora_rank": 0,
    "kv_lora_rank": 0,
    "qk_nope_head_dim": 128,  # means nothing while kv_lora_rank is 0
    "qk_rope_head_dim": 64,
    "weight_tying": False,
    "qkv_biases": False,
    "qk_norm": False,
}
_FIXED = ("q_lora_rank", "kv_lora_rank", "weight_tying", "qkv_biases", "qk_norm")
"""Fields that a CWM has at their defaults."""

_OWN = (
    "bos_token_id",
    "eos_token_ids",
    "pad_token_id",
    "initializer_range",
    "scale_residual_init",
)


def to_params(config: CWMConfig) -> dict[str, Any]:
    """Return the content of ``params.json``.

    A feed-forward size is written as Meta's (multiplier, multiple of 256) where such a pair gives
    it, else with ``multiple_of`` 1 and a multiplier that gives just this size. `ConfigError` for
    layers that are no cycle starting with a global one, or rescaling by numbers that are not whole.
    """
    model = {
        "dim": config.hidden_size,
        "n_layers": config.num_hidden_layers,
        "n_heads": config.num_attention_heads,
        "n_kv_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "max_seq_len": config.max_position_embeddings,
        "vocab_size": config.vocab_size,
        **_feed_forward(config),
        "norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta,
        **_rope(config.rope_scaling),
        "window_attn": _window(config),
    }
    own = {name: getattr(config, name) for name in _OWN}
    own["eos_token_ids"] = list(config.eos_token_ids)  # as JSON has it
    return {"model": model, "tokenizer": {"name": TOKENIZER}, "config_json": own}


def from_params(record: Mapping[str, Any]) -> CWMConfig:
    """Build the configuration from a ``params.json``; `ConfigError` names what does not fit."""
    model = _filled("model", record.get("model"), _DEFAULTS)
    if bad := [name for name in _FIXED if model[name] != _DEFAULTS[name]]:
        raise ConfigError(
            f"not what a CWM computes: {', '.join(f'{name} is {model[name]!r}' for name in bad)}"
        )
    heads, dim = model["n_heads"], model["dim"]
    for name in ("dim", "n_layers", "n_heads", "ffn_exp", "multiple_of", "max_seq_len"):
        if type(model[name]) is not int or model[name] < 1:
            raise ConfigError(f"{name} is {model[name]!r}; it must be an integer of at least 1")
    if model["n_layers"] > MAX_LAYERS:
        raise ConfigError(f"n_layers is {model['n_layers']}, over {MAX_LAYERS}")
    kinds, window = _layers(model)
    return CWMConfig(
        vocab_size=model["vocab_size"],
        hidden_size=dim,
        intermediate_size=_size(model),
        num_hidden_layers=model["n_layers"],
        num_attention_heads=heads,
        num_key_value_heads=heads if model["n_kv_heads"] is None else model["n_kv_heads"],
        head_dim=dim // heads if model["head_dim"] is None else model["head_dim"],
        rms_norm_eps=model["norm_eps"],
        rope_theta=model["rope_theta"],
        rope_scaling=_scaling(model),
        max_position_embeddings=model["max_seq_len"],
        sliding_window=window,
        layer_types=kinds,
        **_own(record, model["vocab_size"]),
    )


def _filled(where: str, given: Any, defaults: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise ConfigError(f"{where} is {given!r}; expected an object with Meta's fields")
    if unknown := sorted(set(given) - set(defaults)):
        raise ConfigError(f"{where} has unknown fields: {', '.join(unknown)}")
    return {**defaults, **given}


def _own(record: Mapping[str, Any], vocabulary: int) -> dict[str, Any]:
    if "config_json" in record:
        defaults = {name: getattr(CWMConfig(), name) for name in _OWN}
        own = _filled("config_json", record["config_json"], defaults)
        if not isinstance(own["eos_token_ids"], list | tuple):
            raise ConfigError(f"eos_token_ids is {own['eos_token_ids']!r}; expected a list")
        return own | {"eos_token_ids": tuple(own["eos_token_ids"])}
    first = vocabulary - RESERVED
    if first < 0:
        raise ConfigError(f"vocab_size is {vocabulary}; special tokens alone are {RESERVED}")
    ends = ("end_of_text", "eom_id", "eot_id")
    return {
        "bos_token_id": first + SPECIALS["begin_of_text"],
        "eos_token_ids": tuple(first + SPECIALS[name] for name in ends),
    }


def _size(model: Mapping[str, Any]) -> int:
    """Return the width of the feed-forward."""
    size, multiplier = int(2 * model["ffn_exp"] * model["dim"] / 3), model["ffn_dim_multiplier"]
    if multiplier is not None:
        if type(multiplier) not in (int, float) or not 0 < multiplier < 1e9:
            raise ConfigError(f"ffn_dim_multiplier is {multiplier!r}; it must be above 0")
        size = int(multiplier * size)
    step = model["multiple_of"]
    return int(step * -(-size // step))


def _feed_forward(config: CWMConfig) -> dict[str, Any]:
    wanted = config.intermediate_size
    sizes = {"dim": config.hidden_size, "ffn_exp": _DEFAULTS["ffn_exp"], "multiple_of": 256}
    for tenths in (None, *range(1, 100)):
        multiplier = tenths and tenths / 10
        if _size(sizes | {"ffn_dim_multiplier": multiplier}) == wanted:
            return {"ffn_dim_multiplier": multiplier, "ffn_exp": 4, "multiple_of": 256}
    # half above, so that no rounding falls short
    exact = (wanted + 0.5) / int(2 * sizes["ffn_exp"] * sizes["dim"] / 3)
    return {"ffn_dim_multiplier": exact, "ffn_exp": 4, "multiple_of": 1}


def _rope(scaling: RopeScaling | None) -> dict[str, Any]:
    if scaling is None:
        return {"pos_embed_impl": "rope"}
    numbers = {
        "scale_factor": scaling.factor,
        "old_context_len": scaling.original_context,
        "low_freq_factor": scaling.low_freq_factor,
        "high_freq_factor": scaling.high_freq_factor,
    }
    for name, value in numbers.items():
        if value != int(value) or (name == "scale_factor" and value == 1):
            raise ConfigError(f"{name} would be {value}; Meta's layout has whole numbers, not 1")
    whole = {name: int(value) for name, value in numbers.items()}
    return {"pos_embed_impl": "scaled_rope", "scaled_rope": whole}


def _scaling(model: Mapping[str, Any]) -> RopeScaling | None:
    kind = model["pos_embed_impl"]
    scaled = _filled("scaled_rope", model["scaled_rope"], _ROPE_DEFAULTS)
    if kind == "rope":
        return None
    if kind != "scaled_rope" or scaled["use_attn_scale"]:
        raise ConfigError(
            f"pos_embed_impl is {kind!r} and use_attn_scale {scaled['use_attn_scale']!r};"
            " a CWM has 'rope' or 'scaled_rope', without an attention scale"
        )
    return RopeScaling(
        factor=scaled["scale_factor"],
        original_context=scaled["old_context_len"],
        low_freq_factor=scaled["low_freq_factor"],
        high_freq_factor=scaled["high_freq_factor"],
    )


def _is_global(layer: int, layers: int, pattern: int, last: bool) -> bool:
    return layer % pattern == 0 or (last and layer == layers - 1)


def _window(config: CWMConfig) -> dict[str, Any]:
    kinds, size, layers = config.layer_types, config.sliding_window, config.num_hidden_layers
    wide = None if GLOBAL in kinds else size
    if len(set(kinds)) == 1:  # with pattern 1 all layers are global, and global_window their window
        return _window_record(1, wide, size, False)
    for last, pattern in product((False, True), range(2, layers + 1)):
        globals_ = [_is_global(i, layers, pattern, last) for i in range(layers)]
        if globals_ == [kind == GLOBAL for kind in kinds]:
            return _window_record(pattern, None, size, last)
    raise ConfigError(
        f"layer_types {list(kinds)} is no cycle that starts with a global layer; Meta's layout"
        " cannot say it"
    )


def _window_record(pattern: int, wide: int | None, narrow: int, last: bool) -> dict[str, Any]:
    return {
        "window_pattern": pattern,
        "global_window": wide,
        "local_window": narrow,
        "global_last_layer": last,
    }


def _layers(model: Mapping[str, Any]) -> tuple[tuple[str, ...], int]:
    """Return each layer's type and the window of the local ones."""
    layers, unused = model["n_layers"], CWMConfig().sliding_window
    if model["window_attn"] is None:
        return (GLOBAL,) * layers, unused
    window = _filled("window_attn", model["window_attn"], _WINDOW_DEFAULTS)
    pattern, wide, narrow = (
        window[name] for name in ("window_pattern", "global_window", "local_window")
    )
    for name, value in window.items():
        if name != "global_last_layer" and value is not None and type(value) is not int:
            raise ConfigError(f"{name} is {value!r}; it must be an integer")
    if pattern is None or pattern < 1 or (narrow is None and pattern > 1):
        raise ConfigError(f"window_pattern is {pattern} and local_window {narrow}")
    last = bool(window["global_last_layer"])
    globals_ = [_is_global(i, layers, pattern, last) for i in range(layers)]
    if wide is not None and (all(globals_) or wide == narrow):
        return (LOCAL,) * layers, wide
    if wide is not None and wide < model["max_seq_len"]:
        raise ConfigError(
            f"global_window is {wide} and local_window {narrow}; a CWM's global layers see all of"
            f" max_seq_len, {model['max_seq_len']}"
        )
    kinds = tuple(GLOBAL if one else LOCAL for one in globals_)
    return kinds, narrow or unused
