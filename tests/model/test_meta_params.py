import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import CWMConfig
from model.config import GLOBAL, LOCAL, ConfigError, RopeScaling, parameter_count
from model.meta_params import from_params, to_params
from tests.model.tiny import CONFIG

# the published model in Meta's words, written by hand from the paper's table and Meta's rules
PUBLISHED = {
    "dim": 6144,
    "n_layers": 64,
    "n_heads": 48,
    "n_kv_heads": 8,
    "head_dim": 128,
    "max_seq_len": 131072,
    "vocab_size": 128256,
    "ffn_dim_multiplier": 1.3,
    "multiple_of": 256,
    "norm_eps": 1e-5,
    "rope_theta": 1e6,
    "pos_embed_impl": "scaled_rope",
    "scaled_rope": {"scale_factor": 16, "old_context_len": 8192},
    "window_attn": {"window_pattern": 4, "local_window": 8192, "global_last_layer": False},
}


def params(**changes):
    return {"model": PUBLISHED | changes}


def test_the_published_model():
    assert from_params(params()) == CWMConfig()
    assert parameter_count(from_params(params())) == 32_581_097_472
    written = to_params(CWMConfig())
    assert written["model"]["ffn_dim_multiplier"] == 1.3
    assert written["model"]["multiple_of"] == 256
    assert from_params(written) == CWMConfig()
    assert written["tokenizer"] == {"name": "cwm_instruct"}


def test_a_global_last_layer_is_kept_layer_by_layer():
    config = from_params(params(window_attn={"window_pattern": 4, "local_window": 8192}))
    assert config.layer_types == (*CWMConfig().layer_types[:-1], GLOBAL)
    assert from_params(to_params(config)) == config
    assert to_params(config)["model"]["window_attn"]["global_last_layer"] is True


def test_metas_defaults_fill_what_is_absent():
    config = from_params({"model": {"vocab_size": 1000, "dim": 96, "n_heads": 6}})
    assert (config.num_hidden_layers, config.num_key_value_heads, config.head_dim) == (8, 6, 16)
    assert config.intermediate_size == 256  # 256 exactly: int(2 / 3 * 4 * 96)
    assert config.rope_scaling is None
    assert config.rope_theta == 1e4
    assert set(config.layer_types) == {GLOBAL}
    assert (config.bos_token_id, config.eos_token_ids) == (744, (745, 752, 753))
    scaled = from_params({"model": {"vocab_size": 1000, "pos_embed_impl": "scaled_rope"}})
    assert scaled.rope_scaling == RopeScaling(factor=8.0)


cycles = st.tuples(st.integers(1, 12), st.integers(2, 13), st.booleans()).map(
    lambda c: tuple(
        GLOBAL if i % c[1] == 0 or (c[2] and i == c[0] - 1) else LOCAL for i in range(c[0])
    )
)


@settings(max_examples=200, deadline=None)
@given(
    kinds=cycles | st.integers(1, 9).map(lambda n: (LOCAL,) * n),
    heads=st.sampled_from([(4, 2), (6, 6), (3, 1)]),
    width=st.integers(1, 200),
    inner=st.integers(1, 5000),
    window=st.integers(1, 10_000),
    scaling=st.none() | st.builds(RopeScaling, factor=st.integers(2, 64)),
    eos=st.lists(st.integers(0, 300), max_size=3),
)
def test_every_expressible_config_survives(kinds, heads, width, inner, window, scaling, eos):
    config = replace(
        CONFIG,
        layer_types=kinds,
        num_hidden_layers=len(kinds),
        num_attention_heads=heads[0],
        num_key_value_heads=heads[1],
        hidden_size=heads[0] * width,
        intermediate_size=inner,
        sliding_window=window,
        rope_scaling=scaling,
        eos_token_ids=tuple(eos),
        scale_residual_init=True,
    )
    record = json.loads(json.dumps(to_params(config)))
    assert from_params(record) == config
    numbers = record["model"].get("scaled_rope", {}).values()
    assert all(type(number) is int for number in numbers)


def test_a_global_window():
    def kinds_of(**window):
        config = from_params(params(n_layers=3, max_seq_len=1000, window_attn=window))
        return config.layer_types, config.sliding_window

    local = {"window_pattern": 2, "local_window": 10, "global_last_layer": False}
    # one that the context never outgrows is none
    assert kinds_of(**local, global_window=1000) == ((GLOBAL, LOCAL, GLOBAL), 10)
    assert kinds_of(**local, global_window=10) == ((LOCAL,) * 3, 10)
    assert kinds_of(window_pattern=1, global_window=20) == ((LOCAL,) * 3, 20)
    with pytest.raises(ConfigError, match="global_window is 999 and local_window 10"):
        kinds_of(**local, global_window=999)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dropout": 0.1, "zeal": 3}, "unknown fields: dropout, zeal"),
        ({"scaled_rope": {"factor": 16}}, "scaled_rope has unknown fields: factor"),
        ({"window_attn": {"window": 3}}, "window_attn has unknown fields: window"),
        ({"window_attn": 3}, "window_attn is 3"),
        ({"window_attn": {"window_pattern": 4}}, "local_window None"),
        ({"window_attn": {"window_pattern": 0, "local_window": 3}}, "window_pattern is 0"),
        ({"window_attn": {"window_pattern": 4, "local_window": "8"}}, "local_window is '8'"),
        ({"qkv_biases": True, "qk_norm": True}, "qkv_biases is True, qk_norm is True"),
        ({"weight_tying": True}, "weight_tying is True"),
        ({"kv_lora_rank": 512}, "kv_lora_rank is 512"),
        ({"pos_embed_impl": "alibi"}, "pos_embed_impl is 'alibi'"),
        ({"scaled_rope": {"use_attn_scale": True}}, "use_attn_scale True"),
        ({"n_layers": 10**30}, "n_layers is 1000.*, over 10000"),
        ({"n_heads": 0}, "n_heads is 0"),
        ({"n_heads": 7}, "num_attention_heads, 7"),
        ({"dim": "6144"}, "dim is '6144'"),
        ({"ffn_dim_multiplier": -1}, "ffn_dim_multiplier is -1"),
        ({"vocab_size": 100}, "special tokens alone are 256"),
    ],
)
def test_what_does_not_fit_is_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        from_params(params(**changes))


@pytest.mark.parametrize("own", [3, {"bos": 1}, {"eos_token_ids": 3}, {"bos_token_id": None}])
def test_our_own_entry_is_checked_too(own):
    with pytest.raises(ConfigError, match=r"config_json|eos_token_ids is 3|token is None"):
        from_params(params() | {"config_json": own})


@pytest.mark.parametrize("record", [{}, {"model": None}, {"model": [1]}, {"dim": 4}])
def test_a_file_of_something_else(record):
    with pytest.raises(ConfigError, match="model is"):
        from_params(record)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer_types": (LOCAL, GLOBAL), "num_hidden_layers": 2}, "no cycle"),
        ({"rope_scaling": RopeScaling(factor=2.5)}, r"scale_factor would be 2\.5"),
        ({"rope_scaling": RopeScaling(factor=1)}, "scale_factor"),
        ({"rope_scaling": RopeScaling(low_freq_factor=0.5)}, "low_freq_factor"),
    ],
)
def test_what_metas_layout_cannot_say_is_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        to_params(replace(CONFIG, **changes))
