import json

import pytest
import torch

from model import CWM, CWMConfig
from model.config import (
    ConfigError,
    RopeScaling,
    flops_per_token,
    parameter_count,
)
from tests.model.tiny import CONFIG, build


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


@pytest.mark.parametrize("scaling", [None, RopeScaling(factor=4.0, original_context=128)])
def test_hf_form_round_trips(scaling):
    config = CWMConfig(num_hidden_layers=5, rope_scaling=scaling, eos_token_ids=(3,))
    assert CWMConfig.from_hf(json.loads(json.dumps(config.to_hf()))) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_attention_heads": 7}, "must divide"),
        ({"head_dim": 5}, "head_dim is 5"),
        ({"sliding_window": 0}, "sliding_window is 0"),
        ({"num_hidden_layers": 2, "layer_types": ("full_attention",)}, "layer_types has 1"),
        ({"num_hidden_layers": 1, "layer_types": ("dense",)}, "dense"),
    ],
)
def test_impossible_shapes_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        CWMConfig(**changes)


def test_another_architecture_is_refused():
    with pytest.raises(ConfigError, match="llama"):
        CWMConfig.from_hf({"model_type": "llama"})
