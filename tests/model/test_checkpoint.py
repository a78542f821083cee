import json

import pytest
import torch
from transformers import AutoModelForCausalLM

from model import Packing
from model.checkpoint import CheckpointError, load_pretrained, save_pretrained
from tests.model.tiny import CONFIG, build, ids_of


def test_round_trip_is_exact_and_trainable(tmp_path):
    model = build()
    save_pretrained(model, tmp_path)
    loaded = load_pretrained(tmp_path)
    assert loaded.config == model.config
    ids, packing = ids_of(30), Packing.of([30])
    assert torch.equal(loaded(ids, packing), model(ids, packing))
    loaded(ids, packing, ids).backward()
    assert all(p.grad is not None for p in loaded.parameters())


def test_reads_what_hf_wrote_in_shards(tmp_path):
    save_pretrained(build(), tmp_path / "ours")
    hf = AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    hf.save_pretrained(tmp_path / "theirs", max_shard_size="60KB")
    assert (tmp_path / "theirs" / "model.safetensors.index.json").exists()
    loaded = load_pretrained(tmp_path / "theirs").state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in build().state_dict().items())


def test_config_and_state_with_tokenizer_files(tmp_path):
    source = tmp_path / "tokenizer"
    source.mkdir()
    (source / "tokenizer.json").write_text("{}")
    (source / "unrelated.bin").write_text("x")
    state = {name: tensor.bfloat16() for name, tensor in build().state_dict().items()}
    save_pretrained((CONFIG, state), tmp_path / "out", source)
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.json"}
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"
    assert load_pretrained(tmp_path / "out").lm_head.weight.dtype == torch.bfloat16


def test_what_does_not_fit_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_pretrained(tmp_path)
    state = dict(build().state_dict())
    del state["model.norm.weight"]
    save_pretrained((CONFIG, state), tmp_path)
    with pytest.raises(CheckpointError, match=r"model\.norm\.weight"):
        load_pretrained(tmp_path)
