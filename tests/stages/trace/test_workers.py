"""Workers come and go: what is made stays, a lost shard is made again, a deadly one is named."""

import os
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray

from stages.kind_checks import digest_splits
from stages.trace.settings import TracePlacement
from stages.trace.shards import Made, finished, make_shard, read_dropped, read_rows, sweep
from stages.trace.workers import LOSSES, ShardLostError, make_shards
from tests.processes import children, title
from tests.stages.trace.corpus import PLACEMENT, trace

PLACES = TracePlacement(workers=2, cpus=0.5)


@pytest.fixture(scope="module")
def _ray():
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@dataclass(frozen=True)
class Toy:
    """A shard without rows that notes when it is at work, and may take its worker along."""

    name: str
    notes: Path
    deaths: int = 0
    fails: bool = False

    def trace(self):
        begun = len(list(self.notes.glob(f"{self.name}.begun*")))
        (self.notes / f"{self.name}.begun{begun}").write_text(str(time.monotonic()))
        if begun < self.deaths:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fails:
            raise ValueError(f"{self.name} cannot be")
        time.sleep(0.2)
        (self.notes / f"{self.name}.ended").write_text(str(time.monotonic()))
        return Made(tried=Counter(toy=1))


@pytest.fixture
def folders(tmp_path):
    for name in ("notes", "shards"):
        (tmp_path / name).mkdir()
    return tmp_path / "notes", tmp_path / "shards"


def test_a_lost_worker_costs_its_shard_and_nothing_else(_ray, folders):
    notes, folder = folders
    shards = [Toy(f"toy-{n}", notes, deaths=n == 1) for n in range(5)]
    made = [counts.name for counts in make_shards(shards, folder, PLACES)]
    assert sorted(made) == [f"toy-{n}" for n in range(5)]
    assert all(finished(name, folder).tried == {"toy": 1} for name in made)
    begun = Counter(file.name.partition(".")[0] for file in notes.glob("*.begun*"))
    assert begun == {**dict.fromkeys(made, 1), "toy-1": 2}


def test_a_shard_that_always_loses_its_worker_is_named(_ray, folders):
    notes, folder = folders
    shards = [Toy("deadly", notes, deaths=LOSSES), Toy("fine", notes)]
    with pytest.raises(ShardLostError, match=f"deadly lost {LOSSES} workers"):
        list(make_shards(shards, folder, PLACES))
    assert len(list(notes.glob("deadly.begun*"))) == LOSSES
    assert finished("deadly", folder) is None


def test_what_a_shard_raises_is_raised(_ray, folders):
    notes, folder = folders
    with pytest.raises(ValueError, match="broken cannot be"):
        list(make_shards([Toy("broken", notes, fails=True)], folder, PLACES))


def test_no_worker_has_more_than_one_shard(_ray, folders):
    notes, folder = folders
    list(make_shards([Toy(f"toy-{n}", notes) for n in range(6)], folder, PLACES))
    moments = [(float(f.read_text()), 1) for f in notes.glob("*.begun*")]
    moments += [(float(f.read_text()), -1) for f in notes.glob("*.ended")]
    running = 0
    for _, change in sorted(moments):
        running += change
        assert running <= PLACES.workers


def test_without_ray_the_same_is_made_here(folders, monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    notes, folder = folders
    made = list(make_shards([Toy("a", notes), Toy("b", notes)], folder, PLACES))
    assert made == [finished("a", folder), finished("b", folder)]


def test_half_a_shard_is_none(folders):
    notes, folder = folders
    make_shard(Toy("whole", notes), folder)
    make_shard(Toy("half", notes), folder)
    (folder / "half.json").unlink()
    make_shard(Toy("other", notes), folder)
    (folder / ".whole.json.1234").write_text("{")
    sweep(folder, ["whole", "half"])
    assert finished("whole", folder) is not None and finished("half", folder) is None
    assert not [file for file in folder.iterdir() if file.name.startswith((".", "other"))]
    assert [table.num_rows for table in read_rows("whole", folder)] == [0]
    assert read_dropped("whole", folder).num_rows == 0


def kill_a_worker(killed):
    """Kill the first process that makes a shard, as soon as it does."""
    until = time.monotonic() + 120
    while not killed and time.monotonic() < until:
        for pid in children(os.getpid()):
            if title(pid) == b"ray::_Worker.make":
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                return
        time.sleep(0.05)


@pytest.mark.long
def test_a_killed_worker_changes_nothing_in_the_content(_ray, tmp_path, monkeypatch):
    killed = []
    killer = threading.Thread(target=kill_a_worker, args=(killed,))
    killer.start()
    output = trace(tmp_path, "killed", PLACEMENT)
    killer.join()
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    assert killed and digest_splits(output) == digest_splits(trace(tmp_path, "whole", PLACEMENT))
