"""Training in Ray Train workers, and what happens when one is killed."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import ray
import torch
from safetensors.torch import load_file

from cluster.dag.metrics import read_metrics
from stages.pretrain.settings import PretrainSettings
from stages.training.checkpoints import Checkpoints
from stages.training.loop import train
from stages.training.settings import TrainingPlacement, bundles
from stages.training.token_file import TokenIdError
from stages.training.worker import run_job
from tests.processes import children, title
from tests.stages.training.conftest import SMALL, TINY_SCHEDULE

SETTINGS = PretrainSettings(steps=12, rows_per_step=2, schedule=TINY_SCHEDULE, **SMALL)
TWO = {"workers": 2, "cpus_per_worker": 0.5}


@pytest.fixture(scope="module")
def cluster():
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def losses(job):
    lines = read_metrics(job.metrics_file)
    return {line["step"]: line["metrics"]["loss"] for line in lines if "loss" in line["metrics"]}


def same_weights(first, second):
    weights = [load_file(made.output / "model.safetensors") for made in (first, second)]
    return all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_two_workers_equal_one_and_load_anywhere(cluster, job):
    two = replace(job(SETTINGS, **TWO), keep_optimizer=True)
    run_job(two)
    one = job(SETTINGS)
    train(one, Checkpoints(one.scratch))
    assert list(losses(two).values()) == pytest.approx(list(losses(one).values()), abs=1e-5)
    # the universal checkpoint of two workers carries a single one on
    longer = replace(SETTINGS, steps=3)
    after = replace(job(longer), optimizer=two.output / "optimizer")
    train(after, Checkpoints(after.scratch))
    assert losses(after)[1] < losses(one)[1] - 0.5


def kill_after(metrics_file: Path, step: int) -> None:
    """Kill one training worker (a process of this test's own cluster) after ``step`` is logged."""
    while all(line["step"] < step for line in read_metrics(metrics_file)):
        time.sleep(0.05)
    victim = next(pid for pid in children(os.getpid()) if b"RayTrainWorker" in title(pid))
    os.kill(victim, signal.SIGKILL)


@pytest.mark.long
def test_a_killed_worker_resumes_to_the_same_bits(cluster, job):
    many = replace(SETTINGS, steps=150)
    straight, killed = (job(many, checkpoint_every=20, **TWO) for _ in range(2))
    run_job(straight)
    killer = threading.Thread(target=kill_after, args=(killed.metrics_file, 30))
    killer.start()
    run_job(killed)
    killer.join()
    assert losses(killed) == losses(straight)
    assert same_weights(killed, straight)
    logged = [line["step"] for line in read_metrics(killed.metrics_file)]
    assert len(logged) > len(set(logged)) + 1  # some steps were made twice


@pytest.mark.long
def test_what_one_worker_finds_wrong_is_not_tried_again_and_again(cluster, job):
    made = job(replace(SETTINGS, steps=60), max_failures=1000, **TWO)
    tokens = np.memmap(made.tokens["code"] / "tokens.bin", dtype="<u4", mode="r+")
    tokens[500::1000] = 60_000
    tokens.flush()
    with pytest.raises(TokenIdError, match="holds token id 60000 in a vocabulary"):
        run_job(made)


@pytest.mark.long
def test_running_again_goes_on_with_another_number_of_workers(cluster, job):
    first = job(SETTINGS, **TWO)
    run_job(first)
    more = replace(first, settings=replace(SETTINGS, steps=20))
    fewer = replace(more, placement=replace(first.placement, workers=1, micro_rows=2))
    run_job(fewer)
    whole = job(more.settings)
    train(whole, Checkpoints(whole.scratch))
    assert list(losses(fewer).values()) == pytest.approx(list(losses(whole).values()), abs=1e-4)


def test_bundles_and_uneven_shares():
    placement = TrainingPlacement(
        workers=2, cpus_per_worker=0.5, gpus_per_worker=1, node_resource="h100"
    )
    assert bundles(placement, SETTINGS) == [{"CPU": 0.5, "GPU": 1, "h100": 0.001}] * 2
    assert bundles(TrainingPlacement(workers=0), SETTINGS) == [{"CPU": 1.0}]
    with pytest.raises(ValueError, match=r"cannot share a step of rows_per_step = 3"):
        bundles(placement, replace(SETTINGS, rows_per_step=3))
