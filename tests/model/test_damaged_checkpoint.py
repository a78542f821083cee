"""Whatever is wrong with a checkpoint's files, the error says which file or tensor it is."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.checkpoint import CheckpointError, load_pretrained, save_pretrained
from tests.model.tiny import build

WEIGHTS, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"
NORM = "model.norm.weight"


@pytest.fixture
def whole(tmp_path):
    save_pretrained(build(), tmp_path)
    return tmp_path


@pytest.fixture
def sharded(tmp_path):
    save_pretrained(build(), tmp_path, max_shard_bytes=60_000)
    return tmp_path


def refuses(directory, *parts, **options):
    with pytest.raises(CheckpointError, match=".*".join(map(re.escape, parts))):
        load_pretrained(directory, **options)


def rewrite(directory, change, file=WEIGHTS):
    tensors = load_file(directory / file)
    change(tensors)
    save_file(tensors, directory / file)


def test_missing_surplus_and_misshaped_tensors(whole):
    rewrite(whole, lambda tensors: tensors.pop(NORM))
    refuses(whole, f"1 missing: {NORM}")
    rewrite(whole, lambda tensors: tensors.update({"lm_head.bias": torch.ones(3)}))
    refuses(whole, f"1 missing: {NORM}", "1 unknown: lm_head.bias")
    rewrite(whole, lambda tensors: tensors.update({NORM: torch.ones(31)}))
    refuses(whole, f"1 misshaped: {NORM} (31,), not (32,)")
    rewrite(whole, lambda tensors: tensors.clear())
    refuses(whole, "57 missing: lm_head.weight", "…")


@pytest.mark.parametrize("length", [0, 5, 8, 1000, -1, -4000])
def test_truncated_files(whole, length):
    data = (whole / WEIGHTS).read_bytes()
    (whole / WEIGHTS).write_bytes(data[:length])
    refuses(whole, WEIGHTS, "cut short", "again")


def test_a_file_that_grew_or_is_something_else(whole):
    data = (whole / WEIGHTS).read_bytes()
    (whole / WEIGHTS).write_bytes(data + b"\0" * 8)
    refuses(whole, WEIGHTS, "no safetensors file")
    (whole / WEIGHTS).write_bytes(b"version https://git-lfs.github.com/spec/v1\n" * 10)
    refuses(whole, WEIGHTS, "no safetensors file")


def test_missing_files(whole):
    (whole / WEIGHTS).unlink()
    refuses(whole, WEIGHTS, "is missing")
    (whole / CONFIG).unlink()
    refuses(whole, CONFIG, "is missing")


def test_a_missing_or_truncated_shard(sharded):
    shard = sharded / "model-00003-of-00005.safetensors"
    data = shard.read_bytes()
    shard.unlink()
    refuses(sharded, shard.name, "is missing")
    shard.write_bytes(data[:-1])
    refuses(sharded, shard.name, "cut short")


def test_an_index_of_another_checkpoint(sharded):
    index = json.loads((sharded / INDEX).read_text())
    shard = index["weight_map"][NORM]
    rewrite(sharded, lambda tensors: tensors.update(extra=torch.ones(1)), shard)
    refuses(sharded, shard, "extra", "does not name")
    rewrite(sharded, lambda tensors: (tensors.pop("extra"), tensors.pop(NORM)), shard)
    refuses(sharded, shard, f"no tensor {NORM}", "different checkpoints")
    index["weight_map"][NORM] = "../elsewhere.safetensors"
    (sharded / INDEX).write_text(json.dumps(index))
    refuses(sharded, INDEX, "../elsewhere.safetensors")
    for text, message in (("{}", "no weight_map"), ("[]", "a list"), ("{", "not JSON")):
        (sharded / INDEX).write_text(text)
        refuses(sharded, INDEX, message)


def test_two_checkpoints_in_one_directory(sharded):
    save_file({"x": torch.ones(1)}, sharded / WEIGHTS)
    refuses(sharded, WEIGHTS, INDEX, "remove")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("{'model_type': 'cwm'}", "not JSON"),
        ("[1]", "holds a list"),
        ('{"model_type": "llama"}', "expected 'cwm'"),
        ('{"model_type": "cwm", "num_attention_heads": 5}', "num_attention_heads, 5"),
        ('{"model_type": "cwm", "attention_bias": true}', "attention_bias is True"),
        (b"\xff\xfe{}", "not JSON"),
    ],
)
def test_bad_configs(whole, text, message):
    (whole / CONFIG).write_bytes(text if isinstance(text, bytes) else text.encode())
    refuses(whole, CONFIG, message)


def test_mixed_dtypes_need_a_choice(whole):
    rewrite(whole, lambda tensors: tensors.update({NORM: tensors[NORM].half()}))
    refuses(whole, WEIGHTS, NORM, "torch.float16", "torch.float32", "which dtype")
    assert load_pretrained(whole, dtype=torch.bfloat16).model.norm.weight.dtype == torch.bfloat16
    rewrite(whole, lambda tensors: tensors.update({NORM: tensors[NORM].to(torch.int8)}))
    refuses(whole, WEIGHTS, NORM, "I8", dtype=torch.float32)
