"""Killed at any moment, the same command at once goes on, and no artifact is torn."""

import json
import random
import signal
import time

import pytest

from tests.cluster.dag.conftest import wait_for


def no_torn_artifacts(store):
    for record in store.glob("*/*/*/artifact.json"):
        if record.parent.suffix == ".partial":
            continue
        for name, entry in json.loads(record.read_text())["files"].items():
            assert (record.parent / name).stat().st_size == entry["bytes"]


def test_kill_9_at_any_moment(toy, tmp_path):
    """Kill the driver a random while after it began, again and again, until a run gets through."""
    whole = type(toy)(toy.folder, tmp_path / "whole")
    whole.run("slow.steps=8", "slow.seconds=0.05")
    moments = random.Random(0)
    for _ in range(8):
        process = toy.start("slow.steps=8", "slow.seconds=0.05")
        time.sleep(0.25 + 0.7 * moments.random())
        process.kill()
        process.communicate()
        no_torn_artifacts(toy.store)
    toy.run("slow.steps=8", "slow.seconds=0.05")
    no_torn_artifacts(toy.store)
    assert toy.digests() == whole.digests()


def test_a_killed_step_goes_on_from_its_scratch(toy):
    process = toy.start("--preset", "slow")
    progress = wait_for(lambda: list(toy.store.glob("slow/*/scratch/progress.txt")))[0]
    wait_for(lambda: int(progress.read_text() or 0) >= 5)
    process.kill()
    process.communicate()
    attempt = json.loads((progress.parents[1] / "attempt.json").read_text())["attempt"]
    assert toy.plan("--preset", "slow")["slow"]["why"] == "its last attempt did not end"
    toy.run("--preset", "slow")
    record = toy.records("toy.slow")["slow"]
    assert record["attempt"] == attempt
    assert record["statistics"]["resumed_from"] >= 5
    lines = (toy.latest("toy.slow")["slow"] / "metrics.jsonl").read_text().splitlines()
    assert {json.loads(line)["step"] for line in lines} == set(range(30))
    assert not progress.parent.exists()


def test_code_edited_after_the_kill_starts_afresh(toy):
    toy.run("slow.fail=True", expect=1)
    file = toy.folder / "slow" / "run.py"
    file.write_text(file.read_text().replace("if context.settings.fail:", "if False:"))
    assert toy.plan("slow.fail=True")["slow"]["action"] == "run"
    toy.run("slow.fail=True")
    assert toy.records()["slow"]["statistics"]["resumed_from"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_releases_the_lease_and_says_how_to_go_on(toy, number):
    process = toy.start("--preset", "slow")
    wait_for(lambda: list(toy.store.glob("slow/*/scratch/progress.txt")))
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + number, output
    assert not list(toy.store.glob("slow/*/lease.json"))
    assert "go on with: python -m copied.pipeline" in output
    toy.run("--preset", "slow")


def test_a_kill_between_rename_and_pointer_loses_nothing(toy):
    toy.run()
    pointer = toy.latest()["keep"].parent / "current"
    pointer.unlink()
    assert set(toy.actions().values()) == {"cached"}


def test_two_runs_at_once_make_each_step_once(toy):
    arguments = ("--preset", "slow", "slow.steps=10")
    first, second = toy.start(*arguments), toy.start(*arguments)
    outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    attempts = [p for p in toy.store.glob("*/*/*-*") if p.is_dir()]
    assert len(attempts) == 6
