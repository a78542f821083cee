import signal
import threading
import time
from pathlib import Path

import psutil
import pytest
import ray
import torch

from cluster.dag.metrics import read_metrics, read_statistics
from model.checkpoint import load_pretrained, load_state_dict
from stages.rl.pool import RolloutError
from stages.rl.run import run_job
from tests.stages.rl.sanity import CONFIG

ROOT = Path(__file__).resolve().parents[3]


def metrics_of(job):
    return {line["step"]: line["metrics"] for line in read_metrics(job.metrics_file)}


def weights_equal(one, other):
    left, right = load_state_dict(one.output), load_state_dict(other.output)
    return all(torch.equal(left[name], right[name]) for name in left)


def test_the_sanity_rule_is_learned(sanity_job):
    began = time.process_time()
    job = sanity_job(steps=50)
    run_job(job)
    statistics = read_statistics(job.output / "statistics.json")
    assert statistics["heldout_before.pass_at_1"] < 0.3
    assert statistics["heldout_after.pass_at_1"] > 0.7
    assert statistics["heldout_after.greedy"] > 0.8
    assert statistics["heldout_change.pass_at_1_significance"] == "significant"
    assert statistics["updates"] == 50
    metrics = metrics_of(job)
    # the cached sampler and the packed trainer are the same policy
    assert max(m["log_prob_gap_fresh"] for m in metrics.values()) < 1e-5
    assert metrics[50]["entropy"] < metrics[1]["entropy"]
    assert load_pretrained(job.output).config == CONFIG
    assert time.process_time() - began < 40


def test_synchronous_runs_are_deterministic_and_resume_exactly(sanity_job):
    straight, again = (sanity_job(name, steps=4, checkpoint_every=2) for name in "ab")
    run_job(straight)
    run_job(again)
    assert weights_equal(straight, again)
    # Going back to the checkpoint after step 2 leads to the same weights.
    resumed = sanity_job("c", steps=4, checkpoint_every=2)
    folder = straight.scratch / "checkpoints" / "step000000002"
    target = resumed.scratch / "checkpoints" / folder.name
    target.parent.mkdir(parents=True)
    folder.rename(target)
    run_job(resumed)
    assert read_statistics(resumed.output / "statistics.json")["resumed_from"] == 2
    assert weights_equal(straight, resumed)
    assert (
        read_statistics(resumed.output / "statistics.json")["episodes"]
        == (read_statistics(straight.output / "statistics.json")["episodes"])
    )


def test_micro_batches_change_nothing_but_rounding(sanity_job):
    whole = sanity_job("whole", steps=3, temperature=0.9)
    cut = sanity_job("cut", steps=3, temperature=0.9, placement={"micro_batch_tokens": 100})
    run_job(whole)
    run_job(cut)
    left, right = load_state_dict(whole.output), load_state_dict(cut.output)
    assert max((left[n] - right[n]).abs().max() for n in left) < 1e-4


def test_stale_weights_inside_an_answer_are_recorded(sanity_job):
    job = sanity_job(steps=5, max_staleness=2, swap_every=2)
    run_job(job)
    metrics = metrics_of(job)
    assert max(m["staleness_max"] for m in metrics.values()) <= 2
    assert read_statistics(job.output / "statistics.json")["updates"] > 0


@pytest.fixture
def ray_session():
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}},
    )
    yield
    ray.shutdown()


def test_one_trainer_and_one_rollout_actor(ray_session, sanity_job):
    job = sanity_job(steps=8, max_staleness=8, placement={"workers": 1}, swap_every=4)
    run_job(job)
    statistics = read_statistics(job.output / "statistics.json")
    assert (statistics["workers"], statistics["rollout_workers"]) == (1, 1)
    assert statistics["updates"] == 8
    assert statistics["rollout_cpu_seconds"] > 0
    metrics = metrics_of(job)
    assert sorted(metrics) == list(range(1, 9))
    assert all(m["staleness_max"] <= 8 for m in metrics.values())
    assert load_pretrained(job.output).config == CONFIG
    assert not Path(job.spec.weights).exists()


def test_a_rollout_worker_that_keeps_dying_ends_the_stage_by_name(ray_session, sanity_job):
    job = sanity_job(
        domain="tests.stages.rl.sanity:dying_domain",
        steps=2,
        placement={"workers": 1, "max_failures": 1},
    )
    began = time.monotonic()
    with pytest.raises(RolloutError, match="every rollout worker is dead"):
        run_job(job)
    assert time.monotonic() - began < 180  # mostly the start of processes


def test_two_trainers_compute_what_one_does(ray_session, sanity_job):
    alone = sanity_job("alone", steps=3)
    run_job(alone)
    shared = sanity_job(
        "shared",
        steps=3,
        placement={"workers": 2, "cpus_per_worker": 0.5, "micro_batch_tokens": 200},
    )
    run_job(shared)
    assert read_statistics(shared.output / "statistics.json")["workers"] == 2
    left, right = load_state_dict(alone.output), load_state_dict(shared.output)
    assert max((left[n] - right[n]).abs().max() for n in left) < 1e-4


def kill_once(job, kind, after):
    """Kill our own Ray worker of this ``kind`` when step ``after`` is in the metrics."""
    while after not in metrics_of(job):
        time.sleep(0.2)
    for process in psutil.Process().children(recursive=True):
        if kind in " ".join(process.cmdline()):
            process.send_signal(signal.SIGKILL)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["RayTrainWorker", "RolloutWorker"])
def test_a_killed_worker_is_replaced_and_the_run_goes_on(ray_session, sanity_job, kind):
    job = sanity_job(steps=60, checkpoint_every=5, max_staleness=8, placement={"workers": 1})
    killer = threading.Thread(target=kill_once, args=(job, kind, 12))
    killer.start()
    run_job(job)
    killer.join()
    statistics = read_statistics(job.output / "statistics.json")
    assert statistics["heldout_after.pass_at_1"] > 0.5
    assert sorted(metrics_of(job)) == list(range(1, 61))
    if kind == "RayTrainWorker":
        assert 10 <= statistics["resumed_from"] < 60
