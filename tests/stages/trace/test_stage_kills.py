"""The stage's own process killed at its work: a rerun goes on, and comes to the same content."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.dag.metrics import read_statistics
from stages.kind_checks import digest_splits
from stages.trace.settings import TracePlacement
from tests.processes import alive, children, started, title
from tests.stages.trace.corpus import trace

_ROOT = Path(__file__).parents[3]
_DRIVER = """
import sys
from pathlib import Path
import ray
from tests.stages.trace.corpus import trace
if sys.argv[2] == "ray":
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
trace(Path(sys.argv[1]), "killed")
"""


def kill_after(folder, shards, how):
    """Run the stage in a process of its own; kill -9 it when so many shards are there."""
    driver = subprocess.Popen(
        [sys.executable, "-c", _DRIVER, str(folder), how], cwd=_ROOT, stderr=subprocess.DEVNULL
    )
    scratch = folder / "killed.scratch" / "shards"
    until = time.monotonic() + 300
    while len(list(scratch.glob("*.json"))) < shards:
        assert driver.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    # Ray's agents look after themselves, and take their time
    below = started([pid for pid in children(driver.pid) if b"Agent" not in title(pid)])
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    until = time.monotonic() + 60
    while alive(below) and time.monotonic() < until:
        time.sleep(0.1)
    assert not alive(below)
    (folder / "killed").rmdir()
    return {file.name: file.stat().st_mtime_ns for file in scratch.glob("*.json")}


def goes_on(folder, there):
    """Run the killed stage again; only what was not there is made."""
    output = trace(folder, "killed")
    counts = read_statistics(output / "statistics.json")
    assert counts["shards.found_there"] == len(there) < counts["shards"]
    scratch = folder / "killed.scratch" / "shards"
    assert there.items() <= {f.name: f.stat().st_mtime_ns for f in scratch.iterdir()}.items()
    return output


def test_a_killed_stage_goes_on_with_the_shards_that_are_there(tmp_path):
    there = kill_after(tmp_path, 4, "here")
    assert len(there) >= 4
    output = goes_on(tmp_path, there)
    assert digest_splits(output) == digest_splits(trace(tmp_path, "whole"))


def test_killed_while_sorting_it_sorts_again(tmp_path):
    trace(tmp_path, "out")
    before = digest_splits(tmp_path / "out")
    left = tmp_path / "out.scratch" / "buckets" / "train"
    left.mkdir()
    (left / "00000.arrows").write_bytes(b"half of it")
    (tmp_path / "out").rename(tmp_path / "first")
    assert digest_splits(trace(tmp_path, "out")) == before


@pytest.mark.long
@pytest.mark.parametrize("shards", [1, 3, 6, 8])
def test_killed_under_ray_at_many_moments(tmp_path, shards):
    there = kill_after(tmp_path, shards, "ray")
    output = goes_on(tmp_path, there)
    assert digest_splits(output) == digest_splits(trace(tmp_path, "whole"))


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 2])
def test_under_load_the_content_is_the_same(tmp_path, workers):
    import ray

    whole = digest_splits(trace(tmp_path, "whole"))
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(2 * (os.cpu_count() or 1))
    ]
    try:
        placement = TracePlacement(workers=workers, programs_per_shard=70 * workers)
        assert digest_splits(trace(tmp_path, f"{workers}", placement)) == whole
    finally:
        ray.shutdown()
        for each in busy:
            each.kill()
            each.wait()
