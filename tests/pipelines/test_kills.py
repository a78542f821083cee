"""``kill -9`` or SIGTERM of the driver or a training worker, on the real pipeline: nothing is lost.

Every test does to a store of its own what `whole` did without being disturbed, and compares.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.dag.metrics import read_metrics
from cluster.dag.stopping import EXIT_CODE
from tests.pipelines.program import SMALL, Program, wait_until_gone
from tests.processes import title

EARLY = ("--until", "tokenize.code")
STEPS = ("crawl", "curate", "trace", "tokenizer", "tokenize.code")
TRAINING = (
    *SMALL,
    "pretrain.steps=150",
    "pretrain.placement.workers=1",
    "pretrain.placement.checkpoint_every=20",
    "pretrain.placement.log_every=1",  # a line is a mean over the steps since the last
    "pretrain.schedule.horizon_tokens=100000",
    "midtrain.schedule.horizon_tokens=100000",
    "--until",
    "pretrain",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """An undisturbed run up to pre-training."""
    program = Program(tmp_path_factory.mktemp("whole") / "store", TRAINING)
    program.run()
    assert program.left_processes() == []
    return program


@pytest.fixture
def training(whole: Program, tmp_path: Path) -> Program:
    """The same with a store in which only pre-training is still to be done."""
    store = tmp_path / "store"
    shutil.copytree(whole.store, store, symlinks=True, ignore=shutil.ignore_patterns("pretrain"))
    return Program(store, TRAINING)


def assert_equal(program: Program, whole: Program, steps: tuple[str, ...] | None = None) -> None:
    """The store holds what the undisturbed one holds, whole and verified byte by byte."""
    assert program.is_whole()
    rows = program.plan("--verify")
    assert {rows[step]["action"] for step in steps or rows} == {"cached"}
    expected = whole.digests()
    for step, digest in program.digests().items():
        assert digest == expected[step], step


def kept(before: dict[Path, str], program: Program) -> bool:
    """Whether what was published before is still what counts."""
    now = program.published()
    assert all((folder / attempt / "artifact.json").exists() for folder, attempt in now.items())
    return all(now[folder] == attempt for folder, attempt in before.items())


def test_a_killed_driver_keeps_its_finished_steps(whole, tmp_path):
    """Killed within curate, then right after a later step's end; each time the same command at
    once."""
    program = Program(tmp_path / "store", (*SMALL, *EARLY))
    driver = program.start()
    driver.printed("curate | runs")
    time.sleep(0.5 * random.Random(1).random())
    family = driver.kill()
    first = program.published()
    assert "crawl" in {folder.parent.name for folder in first}
    driver = program.start()  # while Ray's processes of the killed one are still ending
    driver.printed("trace | done")
    wait_until_gone(family)
    family = driver.kill()
    assert kept(first, program)
    second = program.published()
    assert {"crawl", "curate", "trace"} <= {folder.parent.name for folder in second}
    program.run()
    assert kept(second, program)
    wait_until_gone(family)
    assert program.left_processes() == []
    assert_equal(program, whole, STEPS)


def test_a_killed_training_goes_on_from_its_checkpoint(whole, training):
    driver = training.start()
    driver.wait_until(lambda: checkpoints(training))
    attempt = started_attempt(training)
    family = driver.kill()
    resumed = training.start()
    resumed.end()
    assert "pretrain | resumes: its last attempt did not end" in resumed.output()
    wait_until_gone(family)
    assert training.left_processes() == []
    record = training.records()["pretrain"]
    assert record["statistics"]["resumed_from"] >= 20
    assert record["attempt"] == attempt
    assert_equal(training, whole)
    assert losses(training) == losses(whole)


def test_a_training_that_sigterm_stops_saves_a_checkpoint_first(whole, training):
    training = replace(
        training, arguments=(*training.arguments, "pretrain.placement.checkpoint_every=100000")
    )
    driver = training.start()
    driver.wait_until(lambda: logged(training) >= 20)
    assert not folders(training)
    family = driver.family()
    driver.process.send_signal(signal.SIGTERM)
    assert driver.process.wait(timeout=60) == EXIT_CODE, driver.output()
    assert "stopped after saving a checkpoint" in driver.output()
    assert len(folders(training)) == 1
    assert not list(training.store.glob("*/*/lease.json"))
    assert not list(training.store.glob("pretrain/*/current"))
    attempt = started_attempt(training)
    wait_until_gone(family)
    training.run()
    record = training.records()["pretrain"]
    assert record["statistics"]["resumed_from"] >= 20
    assert record["attempt"] == attempt
    assert training.left_processes() == []
    assert_equal(training, whole)
    assert losses(training) == losses(whole)


@pytest.mark.long
def test_a_killed_worker_is_replaced(whole, training):
    """The run is not disturbed: the workers go on from their last checkpoint."""
    driver = training.start()
    driver.wait_until(lambda: checkpoints(training))
    family = driver.family()
    os.kill(next(pid for pid in family if b"RayTrainWorker" in title(pid)), signal.SIGKILL)
    driver.end()
    wait_until_gone(family)
    assert training.left_processes() == []
    assert training.records()["pretrain"]["statistics"]["resumed_from"] >= 20
    assert_equal(training, whole)
    assert losses(training) == losses(whole)


@pytest.mark.long
def test_killed_while_it_writes_a_checkpoint(whole, training):
    """Killed the moment a checkpoint's directory appears, three times; a torn one is not used."""
    families: dict[int, str] = {}
    seen: set[str] = set()
    for _ in range(3):
        driver = training.start()
        driver.wait_until(lambda before=frozenset(seen): folders(training) - before)
        families |= driver.kill()
        seen |= folders(training)
    training.run()
    wait_until_gone(families)
    assert training.left_processes() == []
    assert_equal(training, whole)
    assert losses(training) == losses(whole)


@pytest.mark.long
@pytest.mark.parametrize("executor", ["ray", "local"])
def test_kill_9_at_any_moment(whole, tmp_path, executor):
    """Killed again and again a random while after it began its next step."""
    program = Program(tmp_path / "store", (*SMALL, *EARLY, "--executor", executor))
    moments = random.Random(2)
    families: dict[int, str] = {}
    published: dict[Path, str] = {}
    for _ in range(6):
        driver = program.start()
        driver.wait_until(lambda d=driver: " | runs" in d.output() or d.process.poll() is not None)
        time.sleep(1.5 * moments.random())
        families |= driver.kill()
        assert kept(published, program)
        published = program.published()
    program.run()
    assert kept(published, program)
    wait_until_gone(families, agents=True)
    assert program.left_processes() == []
    assert_equal(program, whole, STEPS)


def folders(program: Program) -> set[str]:
    """The checkpoints of a pre-training, also one that is being written."""
    return {path.name for path in program.store.glob("pretrain/*/scratch/checkpoints/step*")}


def checkpoints(program: Program) -> bool:
    """Whether a pre-training has a finished checkpoint."""
    return any(re.fullmatch(r"step\d+", name) for name in folders(program))


def logged(program: Program) -> int:
    """The last step that a pre-training at work has logged."""
    files = program.store.glob("pretrain/*/*.partial/metrics.jsonl")
    return max((line["step"] for file in files for line in read_metrics(file)), default=0)


def started_attempt(program: Program) -> str:
    (file,) = program.store.glob("pretrain/*/attempt.json")
    return json.loads(file.read_text())["attempt"]


def losses(program: Program) -> dict[int, float]:
    """The loss at each logged step, the last time it was made."""
    (file,) = program.store.glob("pretrain/*/current/metrics.jsonl")
    lines = [line for line in read_metrics(file) if "loss" in line["metrics"]]
    return {line["step"]: line["metrics"]["loss"] for line in lines}
