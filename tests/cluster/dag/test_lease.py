"""Leases: one holder at a time, taken over from the dead, not from the living."""

import json
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cluster.dag import lease as module
from cluster.dag.files import write_json
from cluster.dag.lease import Lease, LeaseLostError, read_lease
from cluster.dag.process import this_process


def hold(folder, process, beat=0):
    folder.mkdir(exist_ok=True)
    lease = {"holder": asdict(process), "token": "other", "step": "s", "beat": beat}
    write_json(folder / "lease.json", lease)


def test_a_lease_is_written_and_removed(tmp_path):
    with Lease(tmp_path / "f", "s") as lease:
        lease.check()
        assert read_lease(tmp_path / "f")["holder"]["pid"] == this_process().pid
    assert read_lease(tmp_path / "f") is None


def test_a_dead_holder_is_taken_over_at_once(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    stat = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    process = replace(this_process(), pid=child.pid, started=stat[19])
    assert not process.is_dead()
    child.kill()
    child.wait()
    hold(tmp_path / "f", process)
    began = time.monotonic()
    with Lease(tmp_path / "f", "s"):
        assert time.monotonic() - began < 2


def test_a_reused_pid_is_not_the_holder(tmp_path):
    hold(tmp_path / "f", replace(this_process(), started="1"))
    with Lease(tmp_path / "f", "s") as lease:
        lease.check()


def test_the_living_are_waited_for(tmp_path):
    hold(tmp_path / "f", this_process())
    taken = threading.Event()

    def take():
        with Lease(tmp_path / "f", "s"):
            taken.set()

    thread = threading.Thread(target=take)
    thread.start()
    assert not taken.wait(0.7)
    (tmp_path / "f" / "lease.json").unlink()
    assert taken.wait(5)
    thread.join()


def test_a_silent_holder_elsewhere_is_taken_over_after_the_silence(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.6)
    hold(tmp_path / "f", replace(this_process(), machine="elsewhere"))
    began = time.monotonic()
    with Lease(tmp_path / "f", "s"):
        assert 0.6 < time.monotonic() - began < 5


def test_a_holder_elsewhere_that_beats_keeps_its_lease(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.6)
    elsewhere = replace(this_process(), machine="elsewhere")
    taken = threading.Event()
    hold(tmp_path / "f", elsewhere)
    thread = threading.Thread(target=lambda: Lease(tmp_path / "f", "s").__enter__() and taken.set())
    thread.daemon = True
    thread.start()
    for beat in range(1, 5):
        hold(tmp_path / "f", elsewhere, beat)
        assert not taken.wait(0.3)


def test_who_lost_the_lease_may_not_publish_and_leaves_the_new_one(tmp_path):
    with Lease(tmp_path / "f", "s") as lease:
        hold(tmp_path / "f", this_process())
        with pytest.raises(LeaseLostError):
            lease.check()
    assert json.loads((tmp_path / "f" / "lease.json").read_text())["token"] == "other"
