"""The graph of a preset: what does not fit is refused by name."""

from dataclasses import replace

import pytest

from cluster.dag.step import Pipeline, PipelineError, Step, UnknownStepError
from tests.cluster.dag.toy.keep import KEEP
from tests.cluster.dag.toy.pipeline import toy
from tests.cluster.dag.toy.settings import KeepSettings, SlowSettings, TotalPlacement


def changed(step, **changes):
    preset = toy()
    old = next(s for s in preset.steps if s.name == step)
    return preset.with_step(replace(old, **changes))


def test_steps_follow_their_inputs():
    names = list(Pipeline(toy()).steps)
    reverse = replace(toy(), steps=tuple(reversed(toy().steps)))
    order = list(Pipeline(reverse).steps)
    assert sorted(order) == sorted(names)
    for name, step in Pipeline(reverse).steps.items():
        assert all(order.index(source) < order.index(name) for source in step.inputs.values())


def test_a_default_placement_is_filled_in():
    assert Pipeline(toy()).steps["total.all"].placement == TotalPlacement()


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        (changed("keep", inputs={}), "keep: no step is given for its numbers"),
        (changed("keep", inputs={"numbers": "nombers"}), "keep: its numbers is 'nombers'"),
        (changed("keep", inputs={"numbers": "total.all"}), "makes number; it takes lines"),
        (changed("keep", inputs={"numbers": "keep"}), "need each other: keep → keep"),
        (changed("keep", settings=SlowSettings()), "settings are a SlowSettings"),
        (changed("keep", placement=TotalPlacement()), "takes no placement"),
        (changed("gather", inputs={"x": "keep"}), "gather: its x is keep, which makes lines"),
        (replace(toy(), steps=(*toy().steps, toy().steps[0])), "two steps are called numbers"),
        (
            replace(toy(), steps=(*toy().steps, Step("other", KEEP, KeepSettings()))),
            "call it keep or keep.VARIANT",
        ),
    ],
)
def test_what_does_not_fit_is_named(preset, words):
    with pytest.raises(PipelineError, match=words):
        Pipeline(preset)


def test_selectors_name_a_step_or_a_stage():
    pipeline = Pipeline(toy())
    assert pipeline.match("total") == ["total.all", "total.kept"]
    assert pipeline.match("total.all") == ["total.all"]
    with pytest.raises(UnknownStepError, match=r"Perhaps you meant gather"):
        pipeline.match("gahter")


def test_ancestors_and_descendants():
    pipeline = Pipeline(toy())
    assert pipeline.ancestors(["slow"]) == {"keep", "numbers"}
    assert pipeline.descendants(["keep"]) == {"total.kept", "slow", "gather"}


def test_the_presets_own_check_is_run():
    def refuse(preset):
        raise ValueError("too many tokens")

    with pytest.raises(ValueError, match="too many tokens"):
        Pipeline(replace(toy(), validate=refuse))
