"""Settings out of range are refused by name."""

import pytest

from stages.pretrain.settings import PretrainSettings
from stages.sft.settings import SftSettings
from stages.training.settings import (
    LengthBucket,
    MixEntry,
    ModelSettings,
    OptimizerSettings,
    RopeScalingSettings,
    ScheduleSettings,
    TrainingPlacement,
)


@pytest.mark.parametrize(
    ("make", "values", "message"),
    [
        (ModelSettings, {"kv_heads": 3}, "kv_heads = 3; allowed: a divisor of 4"),
        (ModelSettings, {"head_dim": 7}, "head_dim = 7; allowed: even"),
        (RopeScalingSettings, {"high_freq_factor": 1}, "above low_freq_factor"),
        (OptimizerSettings, {"beta2": 1.0}, "beta2 = 1.0"),
        (ScheduleSettings, {"final_fraction": 2}, "final_fraction = 2; allowed: 0 to 1"),
        (PretrainSettings, {"steps": 0}, "steps = 0; allowed: at least 1"),
        (PretrainSettings, {"row_tokens": 100}, "row_tokens = 100; allowed: >= context_length"),
        (PretrainSettings, {"mix": ()}, "the mix has a weight"),
        (
            PretrainSettings,
            {"mix": (MixEntry(dataset="a", weight=1),) * 2},
            "twice in the same group",
        ),
        (MixEntry, {"dataset": "a", "epochs": -1}, "epochs = -1; allowed: at least 0"),
        (LengthBucket, {"up_to": 0}, "up_to = 0; allowed: at least 1"),
        (LengthBucket, {"up_to": 9, "reach": -1}, "reach = -1; allowed: at least 0"),
        (PretrainSettings, {"buckets": (LengthBucket(up_to=9),)}, "the last up_to 256"),
        (
            PretrainSettings,
            {"buckets": tuple(LengthBucket(up_to=n) for n in (99, 9, 256))},
            "allowed: ascending",
        ),
        (SftSettings, {"learning_rate": -1}, "learning_rate = -1; allowed: above 0"),
        (TrainingPlacement, {"micro_rows": 0}, "micro_rows = 0"),
    ],
)
def test_out_of_range(make, values, message):
    with pytest.raises(ValueError, match=message):
        make(**values)
