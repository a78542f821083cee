"""Pre-training, mid-training and fine-tuning one after the other, in one process."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from cluster.dag.metrics import read_metrics, read_statistics
from cluster.deepspeed import start_process
from model.checkpoint import load_config
from model.config import RopeScaling
from stages.kind_checks import check_checkpoint, digest_checkpoint
from stages.midtrain.run import run as midtrain
from stages.midtrain.settings import MidtrainSettings
from stages.pretrain.run import run as pretrain
from stages.pretrain.settings import PretrainSettings
from stages.sft.run import run as sft
from stages.sft.settings import SftSettings
from stages.training.checkpoints import Checkpoints
from stages.training.engine import open_engine
from stages.training.run import CheckpointMismatchError
from stages.training.schedule import ScheduleError
from stages.training.sequence_parallel import SequenceParallel
from stages.training.settings import MixEntry
from tests.stages.training.conftest import SMALL, TINY_SCHEDULE

PRETRAIN = PretrainSettings(steps=30, schedule=TINY_SCHEDULE, **SMALL)
MIDTRAIN = MidtrainSettings(
    steps=20, schedule=TINY_SCHEDULE, mix=(MixEntry(dataset="traces", weight=1),), **SMALL
)
SFT = SftSettings(
    steps=10,
    warmup_steps=2,
    mix=(MixEntry(dataset="chats", weight=0.7), MixEntry(dataset="traces", weight=0.3)),
    **SMALL,
)


def losses(step):
    lines = read_metrics(step.metrics_file)
    return [line["metrics"]["loss"] for line in lines if "loss" in line["metrics"]]


@pytest.fixture
def pretrained(context):
    step = context(PRETRAIN, name="pretrained")
    pretrain(step)
    return step


def test_three_stages(context, pretrained):
    check_checkpoint(pretrained.output)
    assert load_config(pretrained.output).rope_scaling is None
    second = context(MIDTRAIN, name="second", checkpoint=pretrained.output)
    midtrain(second)
    assert load_config(second.output).rope_scaling == RopeScaling(original_context=64)
    assert losses(second)[0] < losses(pretrained)[0] - 0.5  # it starts from what was learned
    rates = [line["metrics"]["learning_rate"] for line in read_metrics(second.metrics_file)
             if "loss" in line["metrics"]]  # fmt: skip
    assert rates[0] < TINY_SCHEDULE.peak_learning_rate  # the cosine goes on, no second warm-up
    assert json.loads((second.output / "training.json").read_text())["steps"] == 50
    third = context(SFT, name="third", checkpoint=second.output)
    sft(third)
    assert not (third.output / "optimizer").exists()
    assert digest_checkpoint(third.output) != digest_checkpoint(second.output)
    statistics = read_statistics(third.statistics_file)
    assert statistics["tokens"] == 640
    assert statistics["documents_fit.chats"] == sum(5 + i % 90 <= 64 for i in range(300))
    share = statistics["tokens_seen.chats"] / (
        statistics["tokens_seen.chats"] + statistics["tokens_seen.traces"]
    )
    assert 0.4 < share < 0.95
    assert statistics["validation_loss.chats"] > 0


def test_midtrain_takes_over_the_moments(job, pretrained):
    from deepspeed.utils import safe_get_full_fp32_param

    made = replace(job(MIDTRAIN), optimizer=pretrained.output / "optimizer")
    start_process()
    parallel = SequenceParallel(1, made.config.num_key_value_heads)
    engine, state = open_engine(made, Checkpoints(made.scratch), parallel, made.rows().fingerprint)
    assert state.step == 0
    weights = load_file(pretrained.output / "model.safetensors")
    for name, parameter in engine.module.named_parameters():
        assert torch.equal(safe_get_full_fp32_param(parameter), weights[name])
    (shard,) = (pretrained.output / "optimizer" / "shards").glob("*_optim_states.pt")
    saved = torch.load(shard, weights_only=False)["optimizer_state_dict"]["optimizer_state_dict"]
    for kept, found in zip(
        saved["state"].values(), engine.optimizer.optimizer.state.values(), strict=True
    ):
        for moment in ("exp_avg", "exp_avg_sq"):
            assert kept[moment].abs().max() > 0
            assert torch.equal(found[moment], kept[moment])
        assert int(found["step"]) == PRETRAIN.steps  # the bias correction goes on too


def test_more_steps_than_the_schedule_has(context, pretrained):
    many = replace(MIDTRAIN, steps=1000)
    with pytest.raises(ScheduleError, match="horizon_tokens = 10,000"):
        midtrain(context(many, name="second", checkpoint=pretrained.output))


def test_another_shape_than_the_checkpoints(context, pretrained):
    wider = replace(SFT, model=replace(SFT.model, intermediate_size=96))
    with pytest.raises(CheckpointMismatchError, match="intermediate_size 64 -> 96"):
        sft(context(wider, name="second", checkpoint=pretrained.output))


def test_a_data_set_that_is_no_input(context):
    step = context(PRETRAIN, name="alone")
    del step.inputs["asserts"]
    with pytest.raises(CheckpointMismatchError, match="'asserts', which is no input"):
        pretrain(step)


def test_a_vocabulary_larger_than_the_model(context):
    small = replace(PRETRAIN, model=replace(PRETRAIN.model, vocab_size=300))
    with pytest.raises(CheckpointMismatchError, match=r"tokens, but model\.vocab_size is 300"):
        pretrain(context(small, name="alone"))
