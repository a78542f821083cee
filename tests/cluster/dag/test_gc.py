"""gc removes what no latest artifact reaches, and nothing else."""

import os
import subprocess
import sys


def gc(toy, *arguments, expect=0):
    done = subprocess.run(
        [sys.executable, "-m", "cluster.dag", *arguments],
        env=toy.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def attempts(toy):
    return {path for path in toy.store.glob("*/*/*-*") if path.is_dir()}


def test_superseded_artifacts_go_and_the_rest_stays(toy):
    toy.run("keep.divisor=3")
    old = set(toy.latest().values())
    toy.run()
    kept = set(toy.latest().values())
    output = gc(toy, "gc")
    assert "4 directories" in output and "--delete" in output
    assert attempts(toy) == old | kept
    gc(toy, "gc", "--delete")
    assert attempts(toy) == kept
    assert set(toy.actions().values()) == {"cached"}
    assert "6 directories" in gc(toy, "list")


def test_inputs_of_what_is_kept_are_kept(toy):
    toy.run()
    first = toy.latest()["keep"]
    toy.run("--only", "keep")  # the others still point to the first attempt
    gc(toy, "gc", "--delete")
    assert first.exists()


def test_what_can_be_resumed_stays(toy):
    toy.run("slow.fail=True", expect=1)
    gc(toy, "gc", "--delete")
    assert list(toy.store.glob("slow/*/scratch/progress.txt"))


def test_nothing_is_removed_under_a_run(toy):
    from cluster.dag.lease import Lease

    toy.run("keep.divisor=3")
    toy.run()
    folder = toy.latest()["keep"].parent
    with Lease(folder, "keep"):
        output = gc(toy, "gc", "--delete", expect=1)
    assert f"StoreInUseError: keep is at work (pid {os.getpid()}" in output
