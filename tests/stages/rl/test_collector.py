import pytest

from stages.rl.collector import Collector
from stages.rl.curriculum import Curriculum
from stages.rl.environment import Trajectory
from stages.rl.pool import LocalPool, RolloutError, Rollouts
from stages.rl.selection import Group
from stages.rl.settings import RLSettings

NAMES = [f"t{i}" for i in range(50)]


def settings(**options):
    small = {"samples_per_prompt": 4, "prompts_per_request": 3, "batch_tokens": 40}
    return RLSettings(**small | options)


def worker(version, solved=lambda name, sample: sample == 0):
    """Answer with trajectories of four tokens at ``version()``."""

    def rollout(request):
        groups = []
        for name in request.tasks:
            group = Group(name, "fix", [])
            for sample in range(request.samples):
                trajectory = Trajectory(begin_version=version(), end_version=version())
                trajectory.observe([1, 2])
                reward = 1.0 if solved(name, sample) else -1.0
                trajectory.act([3] * 4, [-0.1] * 4, [0.0] * 3 + [reward])
                group.trajectories.append(trajectory)
            groups.append(group)
        return Rollouts(request, groups, 0.0, 0)

    return rollout


def collector(rollout, **options):
    chosen = settings(**options)
    deck = Curriculum({"fix": NAMES}, {"fix": 1.0})
    return Collector(LocalPool(rollout, lambda: None), deck, chosen, vocabulary=100)


def test_a_batch_is_filled_with_tokens_that_have_an_advantage():
    # half of the prompts are always solved: their groups carry no signal
    rollout = worker(lambda: 0, lambda name, sample: sample == 0 or int(name[1:]) % 2)
    filling = collector(rollout)
    batch = filling.collect(0)
    assert 40 <= batch.tokens < 40 + 16
    assert batch.groups > batch.groups_kept == len(batch.items) // 4
    assert batch.dropped["zero-advantage"] == 4 * (batch.groups - batch.groups_kept)
    assert batch.metrics()["groups_kept"] == batch.groups_kept / batch.groups


def test_groups_left_over_wait_for_the_next_batch_until_they_are_stale():
    now = [0]
    filling = collector(worker(lambda: now[0]), max_staleness=3, batch_tokens=16)
    assert filling.collect(0).staleness == [0] * 4
    assert filling.collect(2).staleness == [2] * 4
    now[0] = 9
    batch = filling.collect(9)
    assert batch.dropped == {"stale": 4}
    assert batch.staleness == [0] * 4


def test_synchronous_batches_name_the_version_they_want():
    wanted = []
    inner = worker(lambda: 7)

    def rollout(request):
        wanted.append(request.version)
        return inner(request)

    filling = collector(rollout, max_staleness=0)
    assert filling.collect(7).staleness
    assert set(wanted) == {7}


def test_a_batch_without_any_signal_ends():
    filling = collector(worker(lambda: 0, lambda name, sample: False), max_requests_per_batch=2)
    batch = filling.collect(0)
    assert batch.items == [] and batch.groups == 6
    assert batch.metrics()["reward"] == -1.0


def test_a_request_that_fails_is_tried_again_and_then_named():
    calls = []

    def rollout(request):
        calls.append(request.id)
        if len(calls) < 3:
            raise RuntimeError("sandbox lost")
        return worker(lambda: 0)(request)

    assert collector(rollout).collect(0).tokens
    assert calls[:3] == [1, 1, 1]
    with pytest.raises(RolloutError, match=r"request 1 failed 3 times.*sandbox lost"):
        collector(lambda request: (_ for _ in ()).throw(RuntimeError("sandbox lost"))).collect(0)


def test_a_resume_asks_the_same_questions():
    asked = []
    inner = worker(lambda: 0)

    def rollout(request):
        asked.append((request.id, request.seed, request.tasks))
        return inner(request)

    first = collector(rollout, max_staleness=0)
    first.collect(0)
    state = first.state_dict()
    before = len(asked)
    first.collect(0)
    expected, asked[:] = asked[before:], []
    second = collector(rollout, max_staleness=0)
    second.load_state_dict(state)
    second.collect(0)
    assert asked == expected
