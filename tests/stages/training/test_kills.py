"""``kill -9`` of workers, drivers and nodes at random steps, also during a save: nothing is lost.

Each training is compared with one that nobody disturbed: at the same world size the losses are
the same bits, at another they differ by rounding; every document is taken once and in its place.
"""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import ray
import torch
from ray.cluster_utils import Cluster
from safetensors.torch import load_file

from stages.pretrain.settings import PretrainSettings
from stages.training import worker
from stages.training.checkpoints import CheckpointWriteError, whole_checkpoints
from stages.training.job import Job
from tests.processes import children, marked, title
from tests.stages.training.conftest import SMALL, TINY_SCHEDULE
from tests.stages.training.watched import (
    PAUSE,
    all_losses,
    assert_nothing_lost,
    losses,
    run_watched,
    saves,
    step_of,
    wait_for,
)

pytestmark = pytest.mark.long
STEPS = 120
SETTINGS = PretrainSettings(steps=STEPS, rows_per_step=2, schedule=TINY_SCHEDULE, **SMALL)
TWO = {"workers": 2, "cpus_per_worker": 0.5, "checkpoint_every": 10, "max_failures": 10}
ROOT = Path(__file__).parents[3]
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@contextmanager
def session(**options: object):
    ray.init(
        **{"address": "local", "num_cpus": 2, "include_dashboard": False, **options},
        log_to_driver=False,
        runtime_env={"env_vars": ENVIRONMENT},
    )
    try:
        yield
    finally:
        ray.shutdown()


@pytest.fixture
def watching(monkeypatch):
    """What `run_watched` replaces is put back."""
    monkeypatch.setattr(worker, "_in_worker", worker._in_worker)


@pytest.fixture
def straight(job, watching):
    """Two workers whom nobody disturbs."""
    made = job(SETTINGS, **TWO)
    with session():
        worker.run_job(made)
    return made


def differences(made: Job, other: Job) -> float:
    """The largest difference of a step's losses, each time that it was made."""
    expected = losses(other)
    assert sorted(losses(made)) == sorted(expected)
    return max(abs(loss - expected[s]) for s, found in all_losses(made).items() for loss in found)


def same_weights(first: Job, second: Job) -> bool:
    weights = [load_file(made.output / "model.safetensors") for made in (first, second)]
    return all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def trainers() -> list[int]:
    """The training workers of this process's Ray, or of a cluster's nodes that it started."""
    return [pid for pid in children(os.getpid()) if b"RayTrainWorker" in title(pid)]


def when(made: Job, moments: random.Random, *, during_save: bool) -> None:
    """Wait for a random step from now on, and for half a checkpoint if it is to be that."""
    step = step_of(made) + moments.randrange(5, 30)
    wait_for(lambda: step_of(made) >= min(step, STEPS - 15))
    if during_save:
        wait_for(lambda: saves(made))


def kill_workers(made: Job, moments: random.Random, kills: int) -> None:
    for number in range(kills):
        when(made, moments, during_save=number % 2 == 1)
        before, at = trainers(), step_of(made)
        os.kill(moments.choice(before), signal.SIGKILL)
        print(f"killed a worker after step {at}")
        wait_for(lambda gone=before: (now := trainers()) and not set(now) & set(gone))


def in_background(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_workers_are_killed(straight, job, watching):
    made = job(SETTINGS, **TWO)
    with session():
        thread = in_background(lambda: kill_workers(made, random.Random(1), 4))
        run_watched(made)
        thread.join()
    assert differences(made, straight) == 0.0
    assert same_weights(made, straight)
    assert_nothing_lost(made)


def test_drivers_are_killed_and_started_again_at_once(straight, job, tmp_path):
    """Their workers may live on for a while, beside those of the next driver."""
    made = job(SETTINGS, **TWO)
    file = tmp_path / "job.pickle"
    file.write_bytes(pickle.dumps(made))
    mark = f"TEST_MARK={tmp_path}"
    command = [sys.executable, "-m", "tests.stages.training.watched", str(file)]
    environment = os.environ | ENVIRONMENT | dict([mark.split("=", 1)])
    moments = random.Random(2)
    for number in range(3):
        driver = subprocess.Popen(command, cwd=tmp_path, env=environment)
        start = step_of(made)
        wait_for(lambda start=start: step_of(made) > start)
        when(made, moments, during_save=number % 2 == 0)
        print(f"killed the driver after step {step_of(made)}")
        driver.kill()
        driver.wait()
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=300)
    assert differences(made, straight) == 0.0
    assert same_weights(made, straight)
    assert_nothing_lost(made)
    wait_for(lambda: not [pid for pid in marked(mark) if b"RayTrainWorker" in title(pid)])


@pytest.fixture
def cluster(watching):
    """A head and two nodes with a CPU each, and what adds a node."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [made.add_node(num_cpus=1) for _ in range(2)]
    try:
        with session(address=made.address, num_cpus=None, include_dashboard=None):
            yield made, nodes
    finally:
        made.shutdown()


PER_NODE = {**TWO, "cpus_per_worker": 1.0}


def test_a_node_is_lost_and_another_takes_its_place(straight, job, cluster):
    made = job(SETTINGS, **PER_NODE)
    machines, nodes = cluster
    machines.add_node(num_cpus=1)  # a third

    def lose() -> None:
        when(made, random.Random(3), during_save=True)
        print(f"lost a node after step {step_of(made)}")
        machines.remove_node(nodes[0], allow_graceful=False)

    thread = in_background(lose)
    run_watched(made)
    thread.join()
    assert differences(made, straight) == 0.0
    assert same_weights(made, straight)
    assert_nothing_lost(made)


def test_two_workers_then_one_then_two(job, cluster):
    """A node is lost, and its worker; a new one comes, and within a minute training takes it up."""
    settings = replace(SETTINGS, steps=60, rows_per_step=4)  # sums of four depend on their order
    made = job(settings, **{**PER_NODE, "min_workers": 1})
    alone = job(settings)
    worker.run_job(replace(alone, placement=replace(made.placement, workers=0)))
    machines, nodes = cluster
    worlds, pause = [], made.scratch / PAUSE

    training = in_background(lambda: run_watched(made))  # nodes are started by the main thread
    when(made, random.Random(4), during_save=False)
    worlds.append(len(trainers()))
    machines.remove_node(nodes[0], allow_graceful=False)
    lost = step_of(made)
    wait_for(lambda: step_of(made) > lost + 15)
    worlds.append(len(trainers()))
    pause.touch()  # else training could end before that
    machines.add_node(num_cpus=1)
    wait_for(lambda: len(trainers()) == 2)
    pause.unlink()
    added = step_of(made)
    wait_for(lambda: step_of(made) > added)
    worlds.append(len(trainers()))
    training.join()
    print(f"worlds {worlds}: at most {differences(made, alone)} apart")
    assert worlds == [2, 1, 2]
    assert differences(made, alone) < 5e-6
    assert_nothing_lost(made)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1.5 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_reaches_the_caller_and_is_not_tried_again(straight, job, small_disk, watching):
    """Two workers on Ray; there is room for one checkpoint, not for two."""
    made = replace(job(SETTINGS, **TWO), scratch=small_disk)
    with session():
        with pytest.raises(CheckpointWriteError, match="bytes are free"):
            worker.run_job(made)
        assert [found.step for found in whole_checkpoints(small_disk / "checkpoints")]
        subprocess.run(["mount", "-o", "remount,size=20m", small_disk], check=True)
        worker.run_job(made)
    assert losses(made) == losses(straight)
