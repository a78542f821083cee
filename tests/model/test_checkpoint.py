import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from benchmarks.measure import extra_memory
from model import CWM, CWMConfig, Packing
from model.checkpoint import CheckpointError, load_pretrained, plan_shards, save_pretrained
from tests.model import copies
from tests.model.tiny import CONFIG, build, ids_of

SMALL = 60_000  # bytes in a shard: several shards of a test's model


def contents(directory):
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def test_round_trip_is_exact_and_trainable(tmp_path):
    model = build()
    model.save_pretrained(tmp_path)
    loaded = CWM.from_pretrained(tmp_path)
    assert loaded.config == model.config
    ids, packing = ids_of(30), Packing.of([30])
    assert torch.equal(loaded(ids, packing), model(ids, packing))
    loaded(ids, packing, ids).backward()
    assert all(p.grad is not None for p in loaded.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [SMALL, 10**9])
def test_save_load_save_gives_the_same_bytes(tmp_path, dtype, size):
    save_pretrained(build().to(dtype), tmp_path / "one", max_shard_bytes=size)
    loaded = load_pretrained(tmp_path / "one")
    save_pretrained(loaded, tmp_path / "two", max_shard_bytes=size)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    shards = list((tmp_path / "one").glob("*.safetensors"))
    assert (len(shards) > 1) == (size == SMALL)


def test_one_file_is_what_safetensors_writes(tmp_path):
    model = build()
    save_pretrained(model, tmp_path)
    save_file(model.state_dict(), tmp_path / "theirs", metadata={"format": "pt"})
    assert (tmp_path / "model.safetensors").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_shards_and_index_are_what_transformers_writes_and_reads(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    model = build(num_hidden_layers=12, layer_types=())  # layer 10 comes after 9
    save_pretrained(model, ours, max_shard_bytes=SMALL)
    hf = AutoModelForCausalLM.from_pretrained(ours)
    assert all(torch.equal(p, hf.get_parameter(name)) for name, p in model.named_parameters())
    hf.save_pretrained(theirs, max_shard_size=SMALL)
    ours, theirs = contents(ours), contents(theirs)
    assert len(ours) > 5
    assert all(theirs[name] == ours[name] for name in ours if name != "config.json")
    loaded = load_pretrained(tmp_path / "theirs")
    assert loaded.config == model.config
    assert all(torch.equal(loaded.get_parameter(n), p) for n, p in model.named_parameters())


def test_the_published_model_is_divided_as_by_huggingface_hub():
    with torch.device("meta"):
        model = CWM(CWMConfig()).bfloat16()
    plan = plan_shards({n: p.shape for n, p in model.named_parameters()}, torch.bfloat16)
    names = [name for shard in plan.values() for name in shard]
    state = model.state_dict()
    theirs = split_torch_state_dict_into_shards({name: state[name] for name in names})
    assert plan == theirs.filename_to_tensors
    assert len(plan) == 14


def test_tensors_may_come_one_at_a_time_in_any_order(tmp_path):
    state = build().state_dict()
    save_pretrained((CONFIG, state), tmp_path / "whole", max_shard_bytes=SMALL)
    pairs = ((name, state[name]) for name in sorted(state, reverse=True))
    save_pretrained((CONFIG, pairs), tmp_path / "streamed", max_shard_bytes=SMALL)
    assert contents(tmp_path / "whole") == contents(tmp_path / "streamed")


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
    loaded = load_pretrained(tmp_path / "out", dtype=torch.float32)
    assert torch.equal(loaded.lm_head.weight, state["lm_head.weight"].float())
    # in place: the tokenizer's files are there already
    save_pretrained(loaded, tmp_path / "out", tmp_path / "out")
    assert (tmp_path / "out" / "tokenizer.json").read_text() == "{}"


def test_tokenizers_are_not_mixed(tmp_path):
    old, new, out = (tmp_path / name for name in ("old", "new", "out"))
    for folder, names in (
        (old, ("tokenizer.json", "tokenizer_config.json")),
        (new, ("tokenizer.model",)),
    ):
        folder.mkdir()
        for name in names:
            (folder / name).write_text("{}")
    save_pretrained(build(), out, old)
    save_pretrained(build(), out)  # none is given: the one that is there stays
    assert (out / "tokenizer.json").exists() and (out / "tokenizer_config.json").exists()
    save_pretrained(build(), out, new)
    assert {f.name for f in out.glob("tok*")} == {"tokenizer.model"}


def test_a_new_checkpoint_replaces_the_old_one_wholly(tmp_path):
    (tmp_path / "statistics.json").write_text("{}")
    for model, size in ((build(1), SMALL), (build(2), 10**9), (build(3), SMALL // 2)):
        save_pretrained(model, tmp_path, max_shard_bytes=size)
        loaded = load_pretrained(tmp_path)
        assert torch.equal(loaded.lm_head.weight, model.lm_head.weight)
    hf = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(hf.lm_head.weight, model.lm_head.weight)
    assert (tmp_path / "statistics.json").exists()


def test_a_model_may_be_saved_where_it_was_loaded_from(tmp_path):
    save_pretrained(build(), tmp_path)
    loaded = load_pretrained(tmp_path)
    with torch.no_grad():
        loaded.model.norm.weight.mul_(2)
    save_pretrained(loaded, tmp_path)
    assert torch.equal(load_pretrained(tmp_path).model.norm.weight, loaded.model.norm.weight)


def test_failed_saving_leaves_the_old_checkpoint(tmp_path):
    save_pretrained(build(), tmp_path)
    before = contents(tmp_path)

    def stopping():
        yield from list(build(1).state_dict().items())[:5]
        raise OSError("the source is gone")

    with pytest.raises(OSError, match="the source is gone"):
        save_pretrained((CONFIG, stopping()), tmp_path)
    with pytest.raises(CheckpointError, match="misshaped: lm_head"):
        save_pretrained((replace(CONFIG, vocab_size=400), build().state_dict()), tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("sizes", [(SMALL, 10**9), (10**9, SMALL), (SMALL, SMALL)])
def test_a_crash_while_files_are_exchanged_never_mixes_checkpoints(tmp_path, monkeypatch, sizes):
    class Crash(BaseException):
        pass

    left = 0

    def until_crash(call):
        def method(*arguments, **options):
            nonlocal left
            if left == 0:
                raise Crash
            left -= 1
            return call(*arguments, **options)

        return method

    old, new = build(1), build(2)
    seen = set()
    for steps in range(30):
        folder = tmp_path / str(steps)
        save_pretrained(old, folder, max_shard_bytes=sizes[0])
        left = steps
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", until_crash(Path.replace))
            patch.setattr(Path, "unlink", until_crash(Path.unlink))
            with suppress(Crash):
                save_pretrained(new, folder, max_shard_bytes=sizes[1])
        try:
            loaded = load_pretrained(folder)
        except CheckpointError as error:
            assert "config.json is missing" in str(error)
            seen.add("none")
        else:
            kind = "old" if torch.equal(loaded.lm_head.weight, old.lm_head.weight) else "new"
            model = {"old": old, "new": new}[kind]
            assert all(torch.equal(loaded.get_parameter(n), p) for n, p in model.named_parameters())
            seen.add(kind)
        save_pretrained(new, folder)  # whatever was left is no obstacle
        assert not list(folder.glob(".*"))
    assert seen == {"old", "none", "new"}


def test_files_are_on_the_disk_before_the_old_ones_go(tmp_path, monkeypatch):
    save_pretrained(build(1), tmp_path, max_shard_bytes=SMALL)
    removed, events = Path.unlink, []
    monkeypatch.setattr("model.checkpoint.sync", lambda path: events.append(("sync", path.name)))

    def unlink(path, **options):
        events.append(("unlink", path.name))
        removed(path, **options)

    monkeypatch.setattr(Path, "unlink", unlink)
    save_pretrained(build(2), tmp_path)
    first = next(i for i, (what, _) in enumerate(events) if what == "unlink")
    written = {".model.safetensors.partial", ".config.json.partial"}
    assert {name for _, name in events[:first]} == written


def test_what_cannot_be_saved_is_named(tmp_path):
    state = dict(build().state_dict())
    for bad, message in (
        ({}, "no tensors"),
        ({**state, "model.norm.weight": state["model.norm.weight"].half()}, "norm.weight is torch"),
        ({name: tensor.int() for name, tensor in state.items()}, "int32"),
        ({**state, "rope.inv_freq": torch.ones(4)}, r"1 unknown: rope\.inv_freq"),
    ):
        with pytest.raises(CheckpointError, match=message):
            save_pretrained((CONFIG, bad), tmp_path)
    assert not list(tmp_path.iterdir())


def test_neither_loading_nor_saving_makes_a_second_copy(tmp_path):
    size = copies.save(tmp_path)  # one file: its pages must not stay
    assert 0.95 * size < extra_memory(copies.loading, tmp_path) < 1.2 * size
    assert extra_memory(copies.saving, tmp_path) < 0.2 * size
