import pytest
import torch

from model.checkpoint import load_state_dict
from stages.rl.pool import Request
from stages.rl.rollout import RolloutWorker
from stages.rl.weights import WeightTransport
from tests.stages.rl import sanity


@pytest.fixture
def play(sanity_job):
    """Play one request while a newer version is published after ``after`` steps of generation."""

    def run(version, after=4, swap_every=2):
        spec = sanity_job(f"{version}{after}", swap_every=swap_every).spec
        state = load_state_dict(spec.checkpoint)
        transport = WeightTransport(spec.weights)
        transport.publish(3, state)
        worker = RolloutWorker(spec)
        look, steps = worker._generator.refresh, 0

        def watched():
            nonlocal steps
            steps += 1
            if steps == after:
                changed = {name: torch.zeros_like(t) for name, t in state.items()}
                transport.publish(4, changed)
            return look()

        worker._generator.refresh = watched
        request = Request(0, tuple(sanity.NAMES[:2]), samples=4, seed=1, version=version)
        found = worker.rollout(request)
        worker.close()
        return [t for group in found.groups for t in group.trajectories]

    return run


def test_newer_weights_are_taken_up_inside_an_action(play):
    trajectories = play(None)
    assert {t.begin_version for t in trajectories} == {3}
    assert 4 in {t.end_version for t in trajectories}


def test_a_request_for_a_version_stays_on_it(play):
    fixed, undisturbed = play(3), play(3, after=1000)
    assert {(t.begin_version, t.end_version) for t in fixed} == {(3, 3)}
    assert [t.text for t in fixed] == [t.text for t in undisturbed]


def test_without_swaps_an_action_keeps_its_weights(play):
    assert {t.end_version for t in play(None, swap_every=0)} == {3}
