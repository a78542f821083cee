"""Every preset loads, fits together, and can be placed on the nodes of ray_cluster.yaml."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
import yaml

from cluster.dag.overrides import explain_settings
from cluster.dag.placement import Node, place, step_bundles
from cluster.dag.step import Pipeline
from pipelines.presets import PRESETS
from pipelines.recipe import RecipeError

ROOT = Path(__file__).parents[2]
DESCRIPTION = yaml.safe_load((ROOT / "ray_cluster.yaml").read_text())


def nodes_of_the_cluster() -> list[Node]:
    """All nodes that the description allows."""
    nodes = [Node("head", DESCRIPTION["available_node_types"]["head"]["resources"])]
    for name, kind in DESCRIPTION["available_node_types"].items():
        nodes += [Node(f"{name}-{i}", kind["resources"]) for i in range(kind["max_workers"])]
    return nodes


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_preset_is_a_pipeline(name):
    preset = PRESETS[name]()
    pipeline = Pipeline(preset)
    assert preset.name == name
    assert next(iter(pipeline.steps)) == "crawl"
    assert list(pipeline.steps)[-1] == "report"
    assert {"pretrain", "midtrain", "sft", "rl", "evaluate.rl"} <= set(pipeline.steps)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_step_can_be_placed_on_the_described_cluster(name):
    nodes = nodes_of_the_cluster()
    for step in Pipeline(PRESETS[name]()).steps.values():
        bundles = step_bundles(step)
        assert place(bundles, nodes) is not None, (step.name, bundles)


@pytest.mark.parametrize("step", Pipeline(PRESETS["tiny"]()).steps.values(), ids=lambda s: s.name)
def test_the_settings_of_every_step_are_explained(step, capsys):
    with pytest.raises(SystemExit) as ended:
        explain_settings(step, "python pipelines/full.py")
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for field in fields(step.settings):
        # no word can add one of these: a preset names them, in Python
        in_python = field.name in ("repositories", "groups", "buckets")
        assert f"--{field.name}" in shown or in_python
    if step.placement is not None:
        assert "--placement." in shown


def test_the_cluster_description_is_valid_for_ray():
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(DESCRIPTION))


def test_the_cluster_does_not_offer_more_nodes_than_it_may_start():
    kinds = DESCRIPTION["available_node_types"].values()
    assert sum(kind["max_workers"] for kind in kinds) <= DESCRIPTION["max_workers"]


def test_the_cluster_names_a_preset_that_exists():
    lines = (ROOT / "cluster" / "node_environment.sh").read_text()
    assert any(f"CWM_PRESET:-{name}" in lines for name in PRESETS)
    assert "CWM_STORE" in lines


def changed(step_name: str, **settings):
    """The tiny preset with other settings at one step."""
    preset = PRESETS["tiny"]()
    step = next(s for s in preset.steps if s.name == step_name)
    return preset.with_step(replace(step, settings=replace(step.settings, **settings)))


def test_more_steps_than_the_schedule_holds_are_refused():
    with pytest.raises(RecipeError, match="horizon_tokens"):
        Pipeline(changed("midtrain", steps=1_000_000))


def test_a_vocabulary_larger_than_the_models_is_refused():
    with pytest.raises(RecipeError, match="vocab_size"):
        Pipeline(changed("tokenizer", vocab_size=4096))


def test_stages_that_disagree_on_the_model_are_refused():
    model = replace(next(s for s in PRESETS["tiny"]().steps if s.name == "sft").settings.model)
    with pytest.raises(RecipeError, match=r"sft\.model differs"):
        Pipeline(changed("sft", model=replace(model, layers=5)))


def test_rl_longer_than_the_trained_context_is_refused():
    with pytest.raises(RecipeError, match=r"rl\.max_length"):
        Pipeline(changed("rl", max_length=4096))


def placed(step_name: str, **placement):
    """The published configuration with one step placed otherwise."""
    preset = PRESETS["cwm_32b"]()
    step = next(s for s in preset.steps if s.name == step_name)
    return preset.with_step(replace(step, placement=replace(step.placement, **placement)))


def test_pure_data_parallelism_at_the_published_batch_is_refused():
    message = (
        r"pretrain\.placement: 2,048 workers cannot share a step of rows_per_step = 1,024"
        r" \(8\.39 M tokens\).*workers = 1,024; sequence_parallel = 2"
    )
    with pytest.raises(RecipeError, match=message):
        Pipeline(placed("pretrain", sequence_parallel=1))


def test_more_workers_on_a_row_than_heads_are_refused():
    with pytest.raises(RecipeError, match=r"sft\.placement: sequence_parallel = 16 does not"):
        Pipeline(placed("sft", sequence_parallel=16))


def test_more_trainers_of_rl_on_a_row_than_heads_are_refused():
    with pytest.raises(RecipeError, match=r"rl\.placement: sequence_parallel = 16 does not divide"):
        Pipeline(placed("rl", sequence_parallel=16))


# of the paper's stages (§4.2, §5.1, §6.1): GPUs, tokens of a row, tokens of a step, groups of
# workers that share rows, workers of each
SHAPES = {
    "pretrain": (2_048, 8_192, 8.4e6, 1_024, 2),
    "midtrain": (2_048, 131_072, 33.6e6, 256, 8),
    "sft": (256, 32_768, 2.1e6, 32, 8),
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_published_shapes(name):
    gpus, row, batch, groups, together = SHAPES[name]
    step = next(s for s in PRESETS["cwm_32b"]().steps if s.name == name)
    settings, placement = step.settings, step.placement
    assert (placement.workers, settings.row_tokens) == (gpus, row)
    assert settings.tokens_per_step == pytest.approx(batch, rel=0.01)
    assert placement.sequence_parallel == together
    assert placement.workers // placement.sequence_parallel == groups
    assert placement.partition_within == 8


def test_the_published_schedule():
    at = {s.name: s.settings for s in PRESETS["cwm_32b"]().steps}
    for name in ("pretrain", "midtrain"):
        optimizer, schedule = at[name].optimizer, at[name].schedule
        assert (optimizer.beta1, optimizer.beta2) == (0.9, 0.95)
        assert (optimizer.weight_decay, optimizer.clip) == (0.1, 1.0)
        assert (schedule.peak_learning_rate, schedule.final_fraction) == (8e-4, 0.01)
        assert (schedule.warmup_steps, schedule.horizon_tokens) == (2_000, 13 * 10**12)
        assert at[name].z_loss == 0
        assert at[name].guard.spike_sigmas > 0
    assert at["pretrain"].steps == pytest.approx(952_000, rel=0.01)
    assert at["midtrain"].steps == pytest.approx(152_000, rel=0.03)
    assert at["midtrain"].rope_scaling.factor == 16
    assert (at["sft"].steps, at["sft"].learning_rate, at["sft"].warmup_steps) == (
        50_000,
        1e-5,
        1_000,
    )


@pytest.mark.parametrize("name", ["one_gpu", "cwm_32b"])
def test_the_large_presets_fit_their_gpus(name):
    from stages.training.estimate import estimate

    for step in PRESETS[name]().steps:
        if step.name in ("pretrain", "midtrain", "sft"):
            found = estimate(step.settings, step.placement)
            assert found["fits"] == "in 80 GB", step.name
            assert found["GPU hours"] > 0


def test_the_published_configuration_has_the_published_size():
    from stages.training.estimate import estimate

    step = next(s for s in PRESETS["cwm_32b"]().steps if s.name == "pretrain")
    figures = estimate(step.settings, step.placement)
    assert figures["parameters"] == 32_581_097_472
    assert figures["tokens"] == pytest.approx(8e12, rel=1e-5)


def test_every_node_names_its_image():
    """Without one Ray takes an Ubuntu whose Python is too old."""
    for kind in DESCRIPTION["available_node_types"].values():
        assert kind["node_config"]["ImageId"]


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_what_training_mixes_is_tokenised(name):
    at = {step.name: step for step in PRESETS[name]().steps}
    for trained in ("pretrain", "midtrain", "sft"):
        mixed = {entry.dataset for entry in at[trained].settings.mix}
        assert mixed <= at[trained].inputs.keys()
    made = {step.removeprefix("tokenize.") for step in at if step.startswith("tokenize.")}
    extras = {"one_gpu": {"prose", "debugger"}, "cwm_32b": {"prose"}}.get(name, set())
    assert made & {"prose", "debugger"} == extras
    assert extras <= {entry.dataset for entry in at["midtrain"].settings.mix if entry.weight}
