"""Running: cached steps, early cutoff, failures, corrupted artifacts, stores that cannot be."""

import re
from pathlib import Path

import pytest


def ran(output):
    """Return the steps that the summary calls done."""
    return set(re.findall(r"^(\S+) +done ", output, re.MULTILINE))


def test_a_second_run_makes_nothing(toy):
    assert len(ran(toy.run())) == 6
    output = toy.run()
    assert ran(output) == set()
    assert output.count("cached") == 6


def test_a_setting_reruns_its_step_and_what_follows(toy):
    toy.run()
    assert ran(toy.run("keep.divisor=3")) == {"keep", "total.kept", "slow", "gather"}
    assert ran(toy.run("keep.divisor=3")) == set()
    assert ran(toy.run()) == set()  # the first results are still there


def test_equal_bytes_stop_the_change(toy):
    toy.run()
    assert ran(toy.run("keep.note=new")) == {"keep"}
    assert ran(toy.run(TOY_WORLD="2")) == {"numbers"}


def test_only_makes_a_new_attempt_beside_the_old(toy):
    toy.run()
    first = toy.latest()["keep"]
    assert ran(toy.run("--only", "keep")) == {"keep"}
    second = toy.latest()["keep"]
    assert first.exists() and second.parent == first.parent and second != first
    assert (second.parent / "current").resolve() == second
    assert ran(toy.run()) == set()


def test_a_record_says_all(toy):
    toy.run()
    record = toy.records()["gather"]
    assert set(record["inputs"]) == {"all", "kept", "slow"}
    source = record["inputs"]["kept"]
    assert (source["step"], source["kind"]) == ("total.kept", "number")
    assert toy.store / source["path"] == toy.latest()["total.kept"]
    assert source["digest"] == toy.digests()["total.kept"]
    assert {"table.txt", "log.txt"} <= set(record["files"])
    assert record["wall_seconds"] >= 0 and record["versions"]["python"]
    assert toy.records()["numbers"]["snapshot"] == {"world": "1"}
    assert (
        toy.latest()["gather"] / "table.txt"
    ).read_text() == "totals\nall 45.0\nkept 20.0\nslow 3\n"


def test_a_failed_step_stops_only_what_needs_it(toy):
    output = toy.run("slow.fail=True", expect=1)
    assert re.search(r"^slow +failed +ToyError: told to fail", output, re.MULTILINE)
    assert re.search(r"^gather +blocked +needs slow", output, re.MULTILINE)
    assert ran(output) == {"numbers", "keep", "total.all", "total.kept"}
    assert "go on with: python -m copied.pipeline" in output and "slow.fail=True" in output
    log = re.search(r"log: (\S+log\.txt)", output)
    assert log and "Traceback" in Path(log[1]).read_text()


def test_a_failed_step_goes_on_when_its_code_is_the_same(toy):
    toy.run("slow.fail=True", expect=1)
    assert toy.plan("slow.fail=True")["slow"]["action"] == "resume"
    assert toy.actions()["slow"] == "run"


@pytest.mark.parametrize("damage", ["bytes", "size", "gone", "record"])
def test_a_corrupted_artifact_is_named_with_the_way_out(toy, damage):
    toy.run()
    file = toy.latest()["keep"] / ("artifact.json" if damage == "record" else "lines.txt")
    if damage == "gone":
        file.unlink()
    elif damage == "bytes":
        file.write_bytes(file.read_bytes()[::-1])
    else:
        file.write_text("{")
    output = toy.run(expect=1)
    assert "CorruptArtifactError" in output and str(file) in output
    command = re.search(r"python -m copied\.pipeline .*--only keep", output)
    assert command
    toy.run("--only", "keep")
    assert ran(toy.run()) == set()


def test_large_files_are_compared_when_asked(toy):
    toy.run("numbers.count=200000", "--until", "numbers")
    file = toy.latest()["numbers"] / "lines.txt"
    file.write_bytes(file.read_bytes()[::-1])
    toy.run("numbers.count=200000", "--until", "numbers")
    output = toy.run("numbers.count=200000", "--until", "numbers", "--verify", expect=1)
    assert "has other bytes than were published" in output


def test_a_store_that_cannot_be_written_is_named(toy):
    toy.store.write_text("a file, not a directory")
    output = toy.run(expect=1)
    assert f"StoreNotWritableError: cannot write into the store {toy.store}" in output
    assert "CWM_STORE" in output


def test_a_store_on_a_read_only_file_system_is_named(toy):
    output = toy.run(expect=1, CWM_STORE="/proc/store")  # nobody, not even root, can write there
    assert "StoreNotWritableError" in output


def test_the_resolved_settings_are_read_back(toy):
    toy.run("keep.divisor=5", "total.all.placement.cpus=1")
    config = toy.store / "pipelines" / "toy.toy" / "config.json"
    kept = config.with_name("kept.json")
    kept.write_text(config.read_text())
    assert toy.actions()["keep"] == "run"
    assert set(toy.actions("--config", str(kept)).values()) == {"cached"}
    kept.write_text(config.read_text().replace('"divisor"', '"dividor"'))
    assert "keep.dividor: no such setting" in toy.run("--config", str(kept), expect=2)
