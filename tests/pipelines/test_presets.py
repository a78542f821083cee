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
