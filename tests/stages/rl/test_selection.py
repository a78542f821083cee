import math

import pytest

from stages.rl.environment import Trajectory
from stages.rl.selection import Group, select
from stages.rl.settings import RLSettings

SETTINGS = RLSettings(max_staleness=8)
VOCABULARY = 100


def episode(reward, length=4, *, end=10, failed=False, token=7, log_prob=-0.5):
    trajectory = Trajectory(begin_version=end - 1, end_version=end, failed=failed)
    trajectory.observe([1, 2, 3])
    trajectory.act([token] * length, [log_prob] * length, [0.0] * (length - 1) + [reward])
    return trajectory


def chosen(*episodes, version=10):
    return select(
        Group("t", "fix", list(episodes)), version=version, vocabulary=VOCABULARY, settings=SETTINGS
    )


def test_a_mixed_group_is_kept_with_weighted_advantages():
    selection = chosen(episode(1.0, 2), episode(-1.0, 6))
    # mu = (2 - 6) / 8 = -0.5
    assert [item.advantage for item in selection.items] == pytest.approx([1.5, -0.5])
    assert selection.tokens == 8
    assert selection.items[0].agent == [False] * 3 + [True] * 2


def test_a_group_of_one_outcome_is_dropped():
    selection = chosen(episode(1.0), episode(1.0, 9))
    assert selection.items == [] and selection.tokens == 0
    assert selection.dropped == {"zero-advantage": 2}


def test_failures_of_infrastructure_move_neither_batch_nor_baseline():
    broken = episode(-1.0, 50, failed=True)
    selection = chosen(episode(1.0, 2), episode(-1.0, 6), broken)
    assert [item.advantage for item in selection.items] == pytest.approx([1.5, -0.5])
    assert selection.dropped == {"infrastructure": 1}
    assert Group("t", "fix", [episode(1.0), broken]).solved == [True]


def test_stale_and_gibberish_are_left_out():
    low = -math.log(VOCABULARY) - 3
    selection = chosen(
        episode(1.0, end=1),
        episode(1.0, token=90, log_prob=low),
        episode(1.0, end=2),
        episode(-1.0, token=70, log_prob=low),
    )
    assert selection.dropped == {"stale": 1, "gibberish": 1}
    assert [item.advantage for item in selection.items] == pytest.approx([1.0, -1.0])
    assert selection.staleness == [8, 0]


def test_improbable_tokens_of_the_environment_are_no_gibberish():
    trajectory = episode(1.0)
    trajectory.observe([95])
    trajectory.contexts[0].log_probs[-1] = -50.0
    assert len(chosen(trajectory, episode(-1.0)).items) == 2
