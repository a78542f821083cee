"""An external checkpoint in the real pipeline: what is refused before anything runs, and why."""

import json
from dataclasses import replace
from itertools import islice, product

import pytest
from tokenizers import AddedToken, models

from cluster.dag.imports import ImportRefusedError, stand_in
from cluster.dag.step import Pipeline
from model.config import CWMConfig
from model.tokens import RESERVED, Tokenizer, special_text, train_tokenizer
from model.tokens.bpe import LLAMA3_REGEX, build, byte_of_character
from pipelines.importing import import_steps
from pipelines.presets import cwm_32b, smoke
from stages.training.run import differences, model_config


def refused(folder, words, preset=None, step="pretrain"):
    with pytest.raises(ImportRefusedError, match=words) as raised:
        import_steps(preset or smoke(), {step: folder})
    assert str(folder) in str(raised.value)


def changed(**settings):
    """The preset smoke with other settings of its training stages."""
    preset = smoke()
    for step in preset.steps:
        wanted = {k: v for k, v in settings.items() if hasattr(step.settings, k)}
        if hasattr(step.settings, "model"):
            preset = preset.with_step(replace(step, settings=replace(step.settings, **wanted)))
    return preset


def test_the_steps_fit_into_the_pipeline(external):
    made = import_steps(smoke(), {"pretrain": external})
    assert [step.name for step in made.steps] == ["pretrain", "tokenizer"]
    assert "licence cwm-license" in made.notes["pretrain"]
    assert "by the settings of pretrain" in made.notes["pretrain"]
    preset, dropped = stand_in(smoke(), made.steps, ["pretrain"])
    assert dropped == []
    steps = Pipeline(preset).steps
    assert steps["midtrain"].inputs["checkpoint"] == "pretrain"
    assert steps["tokenize.code"].inputs["tokenizer"] == "tokenizer"


def test_later_stages_need_nothing_of_earlier_ones(external):
    made = import_steps(smoke(), {"sft": external})
    preset, dropped = stand_in(smoke(), made.steps, ["sft"])
    assert {"tokenizer", "tokenize.code", "pretrain", "midtrain", "evaluate.pretrain"} <= {*dropped}
    kept = Pipeline(preset).steps
    assert {"crawl", "tasks", "sft", "rl", "evaluate.sft", "evaluate.rl", "report"} <= set(kept)


def test_settings_say_how_much_it_was_trained(external):
    at = {step.name: step.settings for step in smoke().steps}
    steps = {
        n: import_steps(smoke(), {n: external}).steps[0] for n in ("pretrain", "midtrain", "rl")
    }
    first = at["pretrain"].steps * at["pretrain"].tokens_per_step
    assert steps["pretrain"].settings.tokens == first
    both = first + at["midtrain"].steps * at["midtrain"].tokens_per_step
    assert steps["midtrain"].settings.tokens == both
    assert steps["rl"].settings.steps == at["sft"].steps
    assert all(step.settings.trained_by == "settings" for step in steps.values())


def test_the_folder_says_how_much_it_was_trained(copied):
    record = {"steps": 5, "tokens": 1_280, "context_length": 256, "precision": "bfloat16"}
    (copied / "training.json").write_text(json.dumps(record))
    made = import_steps(smoke(), {"pretrain": copied})
    assert made.steps[0].settings.tokens == 1_280
    assert "1,280 tokens by its training.json" in made.notes["pretrain"]
    (copied / "training.json").write_text(json.dumps(record | {"tokens": 40_960}))
    refused(copied, "horizon_tokens = 40,960")
    (copied / "training.json").write_text(json.dumps(record | {"tokens": "many"}))
    refused(copied, "must be whole numbers")
    (copied / "training.json").write_text("{")
    refused(copied, "does not say steps")


def test_what_cannot_be_imported_is_named(external):
    refused(external, "trace makes traces; what can be imported is a checkpoint", step="trace")


def test_another_shape_names_the_settings_that_make_it(external):
    model = next(s for s in smoke().steps if s.name == "pretrain").settings.model
    other = replace(model, layers=3, hidden_size=48, sliding_window=32)
    refused(
        external,
        r"hidden_size is 32, not 48, num_hidden_layers is 2, not 3, sliding_window is 64, not 32.*"
        r"give pretrain\.model\.hidden_size=32 .*midtrain\.model\.layers=2 .*sft\.model\.sliding",
        changed(model=other),
    )


def test_a_shape_that_no_setting_makes(copied):
    config = json.loads((copied / "config.json").read_text())
    config["layer_types"] = config["layer_types"][::-1]
    (copied / "config.json").write_text(json.dumps(config))
    refused(copied, "no setting makes a model of its shape: layer_types is")


def test_a_vocabulary_larger_than_the_models(external):
    model = next(s for s in smoke().steps if s.name == "pretrain").settings.model
    refused(
        external, r"pretrain\.model\.vocab_size=", changed(model=replace(model, vocab_size=300))
    )


def test_rope_that_is_scaled_already(copied):
    config = json.loads((copied / "config.json").read_text())
    rope = {
        "rope_type": "llama3",
        "rope_theta": 10_000.0,
        "factor": 16.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 256,
    }
    (copied / "config.json").write_text(json.dumps(config | {"rope_parameters": rope}))
    import_steps(smoke(), {"pretrain": copied})  # as mid-training's settings would scale it
    rope["factor"] = 8.0
    (copied / "config.json").write_text(json.dumps(config | {"rope_parameters": rope}))
    refused(copied, "RoPE is scaled already")
    import_steps(smoke(), {"midtrain": copied})  # what goes on from there keeps it


def first_shard(folder):
    return min(folder.glob("*.safetensors"))


def test_a_missing_shard(copied):
    first_shard(copied).unlink()
    refused(copied, r"model-00001-of-00003\.safetensors is missing")


def test_a_shard_that_was_cut(copied):
    file = first_shard(copied)
    file.write_bytes(file.read_bytes()[:-100])
    refused(copied, "is cut short or no safetensors file")


def test_an_index_of_another_checkpoint(copied):
    file = copied / "model.safetensors.index.json"
    index = json.loads(file.read_text())
    index["weight_map"]["model.norm.weight"] = "model-00009-of-00003.safetensors"
    file.write_text(json.dumps(index))
    refused(copied, r"model-00009-of-00003\.safetensors is missing")


def test_a_configuration_of_another_model(copied):
    (copied / "config.json").write_text(json.dumps({"model_type": "llama"}))
    refused(copied, "model_type is 'llama'; expected 'cwm'")
    (copied / "config.json").unlink()
    refused(copied, r"config\.json is missing")


def test_a_folder_without_its_tokenizer(copied):
    (copied / "tokenizer.json").unlink()
    refused(copied, r"has no tokenizer\.json and no tokenizer\.model; a checkpoint needs")


def test_a_tokenizer_of_another_model(copied, tmp_path):
    train_tokenizer(iter(["x = 1\n"] * 9), 260, "json_digits").save(tmp_path / "other")
    (copied / "tokenizer.json").write_bytes((tmp_path / "other" / "tokenizer.json").read_bytes())
    refused(copied, "they are not of one model")


def test_folders_with_different_tokenizers(external, tmp_path):
    train_tokenizer(iter(["x = 1\n"] * 9), 260, "json_digits").save(tmp_path)
    with pytest.raises(ImportRefusedError, match="different tokenizers"):
        import_steps(smoke(), {"pretrain": external, "tokenizer": tmp_path})
    same = import_steps(smoke(), {"pretrain": external, "tokenizer": external})
    assert [step.name for step in same.steps] == ["pretrain", "tokenizer"]


def test_metas_own_layout_names_the_converter(tmp_path):
    (tmp_path / "params.json").write_text("{}")
    (tmp_path / ".metadata").write_bytes(b"")
    refused(tmp_path, r"python -m model\.meta_layout")
    (tmp_path / "tokenizer.model").write_text("")
    refused(tmp_path, "tokenizer|meta_layout")


@pytest.fixture(scope="module")
def llama3(tmp_path_factory):
    """128,000 regular tokens, then the 256 reserved ones under CWM's names, as facebook/cwm's."""
    letters = sorted(byte_of_character())
    more = ("".join(three) for three in product(letters, repeat=3))
    tokens = [*letters, *islice(more, 128_000 - len(letters))]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    backend = build(models.BPE(vocabulary, [], ignore_merges=True), LLAMA3_REGEX)
    backend.add_special_tokens([AddedToken(special_text(i), special=True) for i in range(RESERVED)])
    folder = tmp_path_factory.mktemp("llama3")
    backend.save(str(folder / "tokenizer.json"))
    return folder


def test_a_tokenizer_of_llama_3s_layout(llama3):
    tokenizer = Tokenizer.load(llama3)
    assert tokenizer.vocab_size == 128_256 and tokenizer.special("eot") == 128_009
    assert tokenizer.decode(tokenizer.encode("def f(a): ...")) == "def f(a): ..."
    made = import_steps(smoke(), {"tokenizer": llama3})
    assert [step.stage.name for step in made.steps] == ["imported_tokenizer"]


def test_the_published_shape_is_that_of_the_large_preset(llama3):
    model = next(s for s in cwm_32b().steps if s.name == "midtrain").settings.model
    made = model_config(model, context_length=131_072, tokenizer=Tokenizer.load(llama3))
    assert differences(made, CWMConfig()) == []  # whose defaults are facebook/cwm
