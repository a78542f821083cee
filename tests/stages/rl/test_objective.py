import math

import pytest
import torch

from stages.rl.objective import clipped_objective, group_advantages, is_gibberish, is_stale


def test_advantages_subtract_the_token_weighted_mean():
    # mu = (1*10 + -1*30 + 1*20 + -1*40) / 100 = -0.4
    advantages = group_advantages([1, -1, 1, -1], [10, 30, 20, 40])
    assert advantages == pytest.approx([1.4, -0.6, 1.4, -0.6])
    # not the plain mean, which would be zero, and no division by a standard deviation
    assert sum(a * n for a, n in zip(advantages, [10, 30, 20, 40], strict=True)) == pytest.approx(0)


@pytest.mark.parametrize("reward", [1.0, -1.0, 0.1])
def test_equal_returns_have_exactly_no_advantage(reward):
    assert group_advantages([reward] * 7, [3, 1, 4, 1, 5, 9, 2]) == [0.0] * 7


def test_a_group_without_agent_tokens_has_no_advantage():
    assert group_advantages([1.0, -1.0], [0, 0]) == [0.0, 0.0]


def objective(log_prob, old, advantage, mask, **options):
    options = {"normaliser": 4.0} | options
    return clipped_objective(
        torch.tensor(log_prob, requires_grad=True) if isinstance(log_prob, list) else log_prob,
        torch.tensor(old),
        torch.tensor(advantage),
        torch.tensor(mask),
        **options,
    )


def test_objective_against_hand_numbers():
    ratios = [1.0, 1.5, 0.5, 1.5, 0.5, 3.0]
    advantages = [2.0, 1.0, 1.0, -1.0, -1.0, 5.0]
    mask = [True, True, True, True, True, False]
    value, sums = objective([math.log(r) for r in ratios], [0.0] * 6, advantages, mask)
    # 2 | clipped at 1.25 | 0.5 | -1.5 | clipped at -0.8 | not the agent's
    assert value.item() == pytest.approx((2.0 + 1.25 + 0.5 - 1.5 - 0.8) / 4.0)
    assert (sums.tokens, sums.clipped) == (5, 2)


def test_gradient_is_that_of_the_unclipped_terms():
    log_prob = torch.tensor([0.0, math.log(1.5), math.log(0.5)], requires_grad=True)
    value, _ = objective(log_prob, [0.0] * 3, [2.0, 1.0, -1.0], [True] * 3)
    value.backward()
    # d(rho A)/d(log p) = rho A where nothing is clipped, else 0; divided by N = 4
    assert log_prob.grad.tolist() == pytest.approx([0.5, 0.0, 0.0])


def test_objective_against_a_loop():
    generator = torch.Generator().manual_seed(0)
    log_prob, old, advantage = torch.randn(3, 200, generator=generator)
    mask = torch.rand(200, generator=generator) < 0.6
    value, sums = clipped_objective(
        log_prob, old, advantage, mask, normaliser=131072, clip_low=0.2, clip_high=0.25
    )
    total = clipped = 0.0
    for p, q, a, m in zip(*(x.tolist() for x in (log_prob, old, advantage, mask)), strict=True):
        if m:
            ratio = math.exp(p - q)
            held = min(max(ratio, 0.8), 1.25)
            total += min(ratio * a, held * a)
            clipped += held * a < ratio * a
    assert value.item() == pytest.approx(total / 131072, rel=1e-4)
    assert sums.clipped == clipped
    assert sums.log_prob_gap == pytest.approx((log_prob - old)[mask].abs().sum().item(), rel=1e-4)


def test_masked_positions_cannot_poison_the_gradient():
    log_prob = torch.tensor([0.0, 500.0], requires_grad=True)
    value, _ = objective(log_prob, [0.0, -500.0], [1.0, 1.0], [True, False])
    value.backward()
    assert torch.isfinite(log_prob.grad).all()


def test_gibberish_needs_a_token_both_rare_and_improbable():
    low = -math.log(1000) - 2.1
    assert is_gibberish([5, 781], [-0.1, low], vocabulary=1000)
    assert not is_gibberish([5, 780], [-0.1, low], vocabulary=1000)
    assert not is_gibberish([5, 781], [-0.1, low + 0.2], vocabulary=1000)
    # the paper's numbers: id > 100 000 of 128 256
    assert is_gibberish([100_040], [-math.log(128_256) - 2.01], vocabulary=128_256)


def test_staleness_counts_from_the_most_recent_tokens():
    assert not is_stale(end_version=2, version=10, max_staleness=8)
    assert is_stale(end_version=1, version=10, max_staleness=8)
    assert is_stale(end_version=9, version=10, max_staleness=0)
