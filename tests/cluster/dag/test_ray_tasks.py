"""Steps as Ray tasks on a Ray of the run's own."""

import json
import re
import signal

from tests.cluster.dag.conftest import wait_for


def test_the_pipeline_runs_on_ray_and_stops_by_sigterm(toy):
    """One test, for Ray takes seconds to start: failure isolation, logs, SIGTERM."""
    output = toy.run("slow.fail=True", "total.placement.cpus=0.25", expect=1, executor="ray")
    assert re.search(r"^slow +failed +ToyError: told to fail", output, re.MULTILINE)
    assert re.search(r"^total\.kept +done", output, re.MULTILINE)
    assert "keep | " in output and "kept 5 of 10" in output  # what a step logs reaches the driver

    failed = set(toy.store.glob("slow/*/scratch/progress.txt"))
    process = toy.start("slow.steps=600", "slow.seconds=0.1", executor="ray")
    running = wait_for(
        lambda: set(toy.store.glob("slow/*/scratch/progress.txt")) - failed, 120
    ).pop()
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output
    assert not list(toy.store.glob("slow/*/lease.json")), output
    assert running.exists()
    assert not list(toy.store.glob("slow/*/current"))
    attempt = json.loads((running.parents[1] / "attempt.json").read_text())
    assert attempt["attempt"].startswith("1-")


def test_nothing_to_do_starts_no_ray(toy):
    toy.run()
    output = toy.run(executor="ray", RAY_TMPDIR="/nonexistent")
    assert output.count("cached") == 6
