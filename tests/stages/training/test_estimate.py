"""Estimates at the paper's scale, against figures published or computed elsewhere."""

import subprocess
import sys

import pytest

from stages.pretrain.settings import PretrainSettings
from stages.training.estimate import estimate
from stages.training.settings import ModelSettings, ScheduleSettings, TrainingPlacement

CWM = ModelSettings(
    hidden_size=6144,
    intermediate_size=21504,
    layers=64,
    heads=48,
    kv_heads=8,
    head_dim=128,
    sliding_window=8192,
    rope_theta=1e6,
    vocab_size=128_256,
)


def test_the_papers_model_on_64_gpus():
    settings = PretrainSettings(
        model=CWM,
        context_length=8192,
        row_tokens=8192,
        rows_per_step=1024,
        steps=1000,
        schedule=ScheduleSettings(horizon_tokens=10**13),
    )
    found = estimate(settings, TrainingPlacement(workers=64))
    assert found["parameters"] == 32_581_097_472
    assert found["tokens"] == 1000 * 1024 * 8192
    assert found["FLOPs"] / found["tokens"] == pytest.approx(210.1e9, rel=0.01)
    # DeepSpeed's own estimate for 8 nodes of 8 GPUs
    assert found["memory per GPU bytes"] / 2**30 == pytest.approx(11.47, rel=0.02)


def test_planning_imports_nothing_heavy():
    code = (
        "import sys; import stages.pretrain, stages.midtrain, stages.sft, stages.training.estimate;"
        "assert not {'torch', 'ray', 'deepspeed'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
