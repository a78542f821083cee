import pytest

from cluster.dag.stage import resolve
from stages.rl import STAGE
from stages.rl.settings import RLPlacement, RLSettings, TaskShare


def test_the_stage_names_what_exists():
    assert callable(resolve(STAGE.run)) and callable(resolve(STAGE.bundles))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("samples_per_prompt", 1),
        ("max_staleness", -1),
        ("clip_low", 1.5),
        ("solve_rate_low", 0.9),
        ("max_length", 40),
        ("mix", ()),
        ("publish_every", 20),
    ],
)
def test_impossible_settings_are_named(field, value):
    with pytest.raises(ValueError, match=rf"rl\..*{field}.* must be"):
        RLSettings(**{field: value})


def test_unknown_kind_is_named():
    with pytest.raises(ValueError, match="one of fix, output, trace"):
        TaskShare(kind="prose", share=1.0)


def test_bundles_hold_trainers_and_rollout_workers():
    placement = RLPlacement(
        workers=2, gpus_per_worker=1, rollout_workers=3, rollout_resource="sampler"
    )
    bundles = resolve(STAGE.bundles)(placement, RLSettings())
    assert bundles == [{"CPU": 1.0, "GPU": 1}] * 2 + [{"CPU": 1.0, "sampler": 0.001}] * 3
    assert resolve(STAGE.bundles)(RLPlacement(workers=0), RLSettings()) == []
