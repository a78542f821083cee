"""Checkpoints: whole or not there, kept by rule, of one attempt; what cannot be used is named."""

import json
import os
import pickle
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cluster.deepspeed import start_process
from stages.pretrain.settings import PretrainSettings
from stages.training.checkpoints import (
    Checkpoint,
    Checkpoints,
    CheckpointWriteError,
    Content,
    OtherModelError,
    TornCheckpointError,
    whole_checkpoints,
)
from stages.training.state import DataMismatchError
from stages.training.worker import run_job
from tests.stages.training.conftest import SMALL, TINY_SCHEDULE
from tests.stages.training.watched import assert_nothing_lost, losses, saves, wait_for

SETTINGS = PretrainSettings(steps=12, rows_per_step=2, schedule=TINY_SCHEDULE, **SMALL)
ROOT = Path(__file__).parents[3]


@pytest.fixture
def made(tmp_path):
    """Return a function that saves checkpoints after these steps and returns who did."""
    start_process()

    def make(*steps, **kept):
        checkpoints = Checkpoints(tmp_path / "checkpoints", **kept)
        checkpoints.latest()
        for step in steps:
            checkpoints.save(step, {"a/b": Content(b"12345")}, {"z": step, "a": [step]})
        checkpoints.wait()
        return checkpoints

    return make


def steps_in(folder):
    return [checkpoint.step for checkpoint in whole_checkpoints(folder)]


def test_the_last_and_every_fourth_are_kept(made):
    folder = made(*range(1, 11), keep=2, keep_every=4).folder
    assert steps_in(folder) == [10, 9, 8, 4]
    assert len(list(folder.iterdir())) == 5  # and the owner
    found = Checkpoints(folder).latest()
    assert (found.step, found.world_size, found.files) == (10, 1, {"a/b": 5})
    assert list(found.facts.items()) == [("z", 10), ("a", [10])]
    assert (found.path / "a/b").read_bytes() == b"12345"


@pytest.mark.parametrize("damage", ["shorter", "gone", "manifest", "no manifest"])
def test_a_torn_checkpoint_is_not_used_and_the_log_says_so(made, damage, caplog):
    folder = made(1, 2).folder
    file = folder / "step000000002" / ("manifest.json" if "manifest" in damage else "a/b")
    if damage in ("shorter", "manifest"):
        file.write_bytes(file.read_bytes()[:-3])
    else:
        file.unlink()
    with pytest.raises(TornCheckpointError):
        Checkpoint.read(folder / "step000000002")
    assert Checkpoints(folder).latest().step == 1
    assert "not used: the checkpoint after step 2" in caplog.text
    assert steps_in(made(2).folder) == [2, 1]  # made again


def test_what_died_is_removed_and_what_lives_on_publishes_nothing(made):
    old = made(1)
    left = old.folder / "step000000002.1234.partial"
    left.mkdir()
    new = made(2)
    assert not left.exists()
    old.save(3, {"a": Content(b"")}, {})
    with pytest.raises(CheckpointWriteError, match="another attempt has taken over"):
        old.wait()
    new.save(3, {"b": Content(b"")}, {})
    new.wait()
    assert Checkpoints(new.folder).latest().files == {"b": 0}


def test_linked_elsewhere_it_is_a_checkpoint_of_its_own(made, tmp_path):
    checkpoints = made(1)
    checkpoints.last.link(tmp_path / "copy", below="a")
    found = Checkpoint.read(tmp_path / "copy")
    assert (found.step, found.files) == (1, {"a/b": 5})


@contextmanager
def largest_file(size):
    """In the block no file gets larger, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_costs_nothing_but_the_steps_since(job):
    straight, full = job(SETTINGS), job(replace(SETTINGS, steps=6), checkpoint_every=3)
    run_job(straight)
    run_job(full)
    again = replace(full, settings=SETTINGS)
    with largest_file(60_000), pytest.raises(CheckpointWriteError, match=r"bytes are free") as info:
        run_job(again)
    assert "rank 0's part of a checkpoint (643," in str(info.value)
    assert not list((full.scratch / "checkpoints").glob("*.partial"))
    assert steps_in(full.scratch / "checkpoints") == [6, 3]
    run_job(again)
    assert losses(again) == losses(straight)


def test_another_model_and_other_data_are_named(job, write_tokens):
    first = job(replace(SETTINGS, steps=2))
    run_job(first)
    more = replace(first, settings=SETTINGS)
    wide = replace(more, config=replace(first.config, intermediate_size=96))
    with pytest.raises(OtherModelError, match=r"now\): intermediate_size 64 -> 96"):
        run_job(wide)
    with pytest.raises(OtherModelError, match="precision float32 -> bfloat16"):
        run_job(replace(more, settings=replace(SETTINGS, precision="bfloat16")))
    with pytest.raises(OtherModelError, match="intermediate_size 64 -> 96"):
        run_job(replace(wide, scratch=job(SETTINGS).scratch, optimizer=latest(first)))
    other = write_tokens("other", [30] * 400, 300).folder
    with pytest.raises(DataMismatchError, match="sha256"):
        run_job(replace(more, tokens={**first.tokens, "code": other}))
    assert steps_in(first.scratch / "checkpoints") == [2, 1]


def latest(job):
    return next(whole_checkpoints(job.scratch / "checkpoints")).path


def test_killed_during_a_save_it_goes_on_from_the_one_before(job, tmp_path):
    """SIGKILL when half of a file of the checkpoint after step 8 is on the disk."""
    straight, killed = job(SETTINGS), job(SETTINGS, checkpoint_every=4)
    run_job(straight)
    file = tmp_path / "job.pickle"
    file.write_bytes(pickle.dumps(killed))
    command = [sys.executable, "-m", "tests.stages.training.watched", str(file)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment)
    wait_for(lambda: saves(killed, 8))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert steps_in(killed.scratch / "checkpoints") == [4]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    assert json.loads((killed.scratch / "result.json").read_text())["resumed_from"] == 4
    assert losses(killed) == losses(straight)
    assert_nothing_lost(killed)
    weights = [load_file(done.output / "model.safetensors") for done in (straight, killed)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
