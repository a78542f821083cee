import json
import logging
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.cwm.configuration_cwm import CwmConfig

from model import CWM, CWMConfig
from model.config import (
    GLOBAL,
    LOCAL,
    ConfigError,
    RopeScaling,
    flops_per_token,
    parameter_count,
)
from tests.model.tiny import CONFIG, build

logging.getLogger("transformers").setLevel(logging.ERROR)  # it remarks on tiny contexts


def test_default_is_facebook_cwm():
    with torch.device("meta"):
        model = CWM(CWMConfig())
    count = sum(p.numel() for p in model.parameters())
    assert count == 32_581_097_472 == parameter_count(CWMConfig())
    kinds = CWMConfig().layer_types
    assert [i for i, kind in enumerate(kinds) if kind == "full_attention"] == list(range(0, 64, 4))


def test_parameter_count_is_exact_for_any_shape():
    assert parameter_count(CONFIG) == sum(p.numel() for p in build().parameters())


@pytest.mark.parametrize(("context", "gigaflops"), [(8192, 70.0), (131_072, 98.7)])
def test_flops_match_the_published_table(context, gigaflops):
    assert flops_per_token(CWMConfig(), context) / 1e9 == pytest.approx(gigaflops, abs=0.06)


counts, numbers = st.integers(1, 64), st.floats(1e-6, 1e6)
scalings = st.builds(
    lambda low, more, **rest: RopeScaling(low_freq_factor=low, high_freq_factor=low + more, **rest),
    low=st.floats(0.1, 10),
    more=st.floats(0.1, 10),
    factor=st.floats(1, 64),
    original_context=st.integers(1, 10**5),
)


@st.composite
def configs(draw):
    kv_heads, groups = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    layers = draw(st.integers(1, 7))
    kinds = st.lists(st.sampled_from([GLOBAL, LOCAL]), min_size=layers, max_size=layers)
    vocabulary = draw(counts)
    return CWMConfig(
        vocab_size=vocabulary,
        hidden_size=kv_heads * groups * draw(counts),
        intermediate_size=draw(counts),
        num_hidden_layers=layers,
        num_attention_heads=kv_heads * groups,
        num_key_value_heads=kv_heads,
        head_dim=2 * draw(counts),
        rms_norm_eps=draw(numbers),
        rope_theta=draw(numbers),
        rope_scaling=draw(st.none() | scalings),
        max_position_embeddings=draw(st.integers(1, 10**6)),
        sliding_window=draw(st.integers(1, 10**5)),
        layer_types=tuple(draw(st.just([]) | kinds)),
        initializer_range=draw(numbers),
        scale_residual_init=draw(st.booleans()),
        bos_token_id=draw(counts),
        eos_token_ids=tuple(draw(st.lists(counts, max_size=3))),
        pad_token_id=draw(st.none() | st.integers(0, vocabulary - 1)),
    )


@settings(max_examples=60, deadline=None)
@given(configs())
def test_every_config_survives_json_and_transformers(config):
    record = json.loads(json.dumps(config.to_hf()))
    assert CWMConfig.from_hf(record) == config
    theirs = AutoConfig.for_model(**record)
    assert isinstance(theirs, CwmConfig)
    for name, value in record.items():
        assert getattr(theirs, name) == value, name
    assert CWMConfig.from_hf(theirs.to_dict()) == config
    assert CWMConfig.from_hf(theirs.to_diff_dict()) == config


@settings(max_examples=10, deadline=None)
@given(configs())
def test_transformers_builds_what_we_accept(config):
    with torch.device("meta"):
        theirs = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config.to_hf()))
        ours = CWM(config)
    shapes = {name: p.shape for name, p in theirs.named_parameters()}
    assert shapes == {name: p.shape for name, p in ours.named_parameters()}


def test_all_fields_of_transformers_config_are_written():
    own = set(CwmConfig.__annotations__)
    assert len(own) > 20
    assert own <= set(CWMConfig().to_hf())
    assert CWMConfig.from_hf(CwmConfig().to_dict()) == CWMConfig()
    assert CWMConfig.from_hf({"model_type": "cwm"}) == CWMConfig()


LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


@pytest.mark.parametrize(
    "record",
    [
        {"rope_theta": 5e5},
        {"rope_scaling": None, "rope_theta": 5e5},
        {"rope_parameters": {"rope_type": "default"}},
        {"rope_parameters": {}, "rope_theta": 5e5},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}, "rope_theta": 7e5},
        {"rope_scaling": LLAMA3 | {"original_max_position_embeddings": 99}, "rope_theta": 5e5},
        {"rope_scaling": LLAMA3, "rope_parameters": {"rope_type": "default", "rope_theta": 3.0}},
        {"rope_parameters": LLAMA3, "max_position_embeddings": 50_000},
        {"rope_scaling": {("type" if k == "rope_type" else k): v for k, v in LLAMA3.items()}},
        {"eos_token_id": 3, "torch_dtype": "bfloat16", "use_cache": False, "note": "mine"},
        {"eos_token_id": []},
        {"num_hidden_layers": 5},
    ],
)
def test_older_and_partial_records_mean_what_transformers_makes_of_them(record):
    theirs = AutoConfig.for_model("cwm", **json.loads(json.dumps(record)))
    ours = CWMConfig.from_hf({"model_type": "cwm", **record})
    assert ours == CWMConfig.from_hf(theirs.to_dict())
    rope = theirs.rope_parameters
    assert ours.rope_theta == rope["rope_theta"]
    assert (ours.rope_scaling.factor if ours.rope_scaling else None) == rope.get("factor")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_attention_heads": 7}, "hidden_size is 6144; .* multiple of num_attention_heads, 7"),
        ({"num_key_value_heads": 5}, "num_attention_heads is 48; .* num_key_value_heads, 5"),
        ({"num_key_value_heads": 96}, "multiple of num_key_value_heads, 96"),
        ({"hidden_size": 24}, "hidden_size is 24; .* multiple of num_attention_heads, 48"),
        ({"head_dim": 5}, "head_dim is 5"),
        ({"head_dim": None}, "head_dim is None; it must be an integer"),
        ({"sliding_window": 0}, "sliding_window is 0"),
        ({"vocab_size": "128256"}, "vocab_size is '128256'"),
        ({"vocab_size": True}, "vocab_size is True"),
        ({"hidden_size": 6144.0}, r"hidden_size is 6144\.0"),
        ({"num_hidden_layers": "64"}, "num_hidden_layers is '64'"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps is nan"),
        ({"rope_theta": 0}, "rope_theta is 0"),
        ({"num_hidden_layers": 2, "layer_types": ("full_attention",)}, "layer_types has 1"),
        ({"num_hidden_layers": 1, "layer_types": ("dense",)}, "dense"),
        ({"num_hidden_layers": 10**30}, "num_hidden_layers is 1000.*, over 10000"),
        ({"scale_residual_init": 1}, "scale_residual_init is 1"),
        ({"pad_token_id": 128_256}, "pad_token_id is 128256"),
        ({"eos_token_ids": (None,)}, "eos token is None"),
    ],
)
def test_impossible_shapes_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        CWMConfig(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"factor": 0.5}, r"factor is 0\.5"),
        ({"factor": "16"}, "factor is '16'"),
        ({"low_freq_factor": 4.0}, "less than high_freq_factor"),
        ({"original_context": 0}, "original_context is 0"),
    ],
)
def test_impossible_rescalings_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        replace(RopeScaling(), **changes)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"model_type": "llama"}, "llama"),
        ({"attention_bias": True}, "attention_bias is True, not False"),
        ({"mlp_bias": True, "hidden_act": "gelu"}, "hidden_act is 'gelu'.*mlp_bias is True"),
        ({"attention_dropout": 0.1}, r"attention_dropout is 0\.1"),
        ({"tie_word_embeddings": True}, "tie_word_embeddings"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
        ({"quantization_config": {"quant_method": "fp8"}}, "quantization_config"),
        ({"per_layer_config": {"3": {"sliding_window": 4}}}, "per_layer_config"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 2.0}}, "yarn"),
        ({"rope_parameters": {"rope_type": "llama3"}}, "lacks factor, high_freq_factor"),
        ({"rope_parameters": {GLOBAL: {}, LOCAL: {}}}, "one object for all layers"),
        ({"rope_parameters": [1]}, "one object for all layers"),
        ({"layer_types": []}, "layer_types"),
        ({"layer_types": "full_attention"}, "layer_types"),
        ({"sliding_window": None}, "sliding_window is None"),
    ],
)
def test_what_a_cwm_is_not_is_refused_by_name(record, message):
    with pytest.raises(ConfigError, match=message):
        CWMConfig.from_hf({"model_type": "cwm", **record})
