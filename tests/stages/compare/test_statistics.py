"""What is known of a difference, against answers that are known beforehand."""

import math

import numpy as np
import pytest

from stages.compare.pairing import Measured, Pair, PairingError, pair
from stages.compare.settings import Contrast
from stages.compare.statistics import detectable, interval, sign_flips, t_test, verdict
from stages.probe.item import Item

RIGHT = Contrast(label="right", measure="direct", arm="on", against_arm="off")


def pair_of(arm, against):
    arm, against = np.asarray(arm, float), np.asarray(against, float)
    seeds, questions = arm.shape
    return Pair(
        tuple(map(str, range(seeds))),
        tuple(map(str, range(questions))),
        Measured(arm, np.ones_like(arm)),
        Measured(against, np.ones_like(against)),
    )


def bootstrap(found, level=0.05):
    return interval(found, resamples=4_000, level=level, rng=np.random.default_rng(0))


def test_a_difference_without_spread_has_no_width():
    low, high = bootstrap(pair_of(np.full((6, 50), 0.75), np.full((6, 50), 0.5)))
    assert low == pytest.approx(0.25) and high == pytest.approx(0.25)


def test_spread_of_seeds_alone_gives_the_interval_of_their_mean():
    rng = np.random.default_rng(1)
    of_seeds = rng.normal(0.1, 0.05, size=40)
    low, high = bootstrap(pair_of(np.tile(of_seeds[:, None], (1, 30)), np.zeros((40, 30))))
    half = 1.96 * of_seeds.std() / math.sqrt(40)
    assert low == pytest.approx(of_seeds.mean() - half, abs=0.002)
    assert high == pytest.approx(of_seeds.mean() + half, abs=0.002)


def test_spread_of_questions_is_shared_by_all_seeds():
    """Many seeds do not make few questions more."""
    right = np.arange(100) % 2
    low, high = bootstrap(pair_of(np.tile(right, (50, 1)), np.zeros((50, 100))))
    half = 1.96 * 0.5 / math.sqrt(100)
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half), abs=0.011)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng, covered = np.random.default_rng(2), 0
    for _ in range(120):
        seeds = rng.normal(0.2, 0.1, size=(8, 1))
        noise = rng.normal(0.0, 0.3, size=(8, 60)) + rng.normal(0.0, 0.3, size=(1, 60))
        low, high = interval(
            pair_of(seeds + noise, np.zeros((8, 60))), resamples=400, level=0.1, rng=rng
        )
        covered += low <= 0.2 <= high
    assert 0.8 <= covered / 120 <= 0.99


def test_sizes_weigh():
    arm = Measured(np.array([[3.0, 0.0]]), np.array([[3.0, 1.0]]))
    assert arm.means() == pytest.approx([0.75])


def test_changes_of_sign():
    assert sign_flips(np.full(6, 0.1)) == 2 / 64
    assert sign_flips(np.array([0.1, -0.1])) == 1.0
    assert sign_flips(np.array([3.0, 2.0, -1.0])) == 4 / 8  # sums of 4, 6 and their negatives


def test_the_t_test():
    assert t_test(np.array([1.0, 2.0, 3.0])) == pytest.approx(0.0742, abs=1e-4)  # t = 2 sqrt(3)
    assert t_test(np.array([1.0])) is None and t_test(np.array([1.0, 1.0])) is None


def test_the_detectable_effect_shrinks_with_seeds():
    assert detectable(1.0, 6, 0.05, 0.8) == pytest.approx(1.425, abs=0.001)
    assert detectable(1.0, 3, 0.05, 0.8) == pytest.approx(3.097, abs=0.001)
    assert detectable(1.0, 1, 0.05, 0.8) is None


def test_a_verdict_tells_each_seed():
    found = verdict(
        pair_of([[1, 1, 0, 0], [1, 1, 1, 0]], [[0, 0, 0, 0], [1, 0, 0, 0]]),
        resamples=500,
        level=0.05,
        power=0.8,
        rng=np.random.default_rng(0),
    )
    assert found.by_seed == (0.5, 0.5) and found.difference == 0.5
    assert (found.arm, found.against, found.deviation) == (0.625, 0.125, 0.0)
    assert found.low <= 0.5 <= found.high


def items(*right, measure="direct", tags=()):
    return [
        Item(measure=measure, key=str(place), amount=float(each), tags=tags)
        for place, each in enumerate(right)
    ]


def test_pairs_are_the_questions_that_all_answered():
    probes = {
        "0": {"on": items(1, 0, 1), "off": items(0, 0)},
        "1": {"on": items(1, 1, 1), "off": items(1, 0, 1)},
    }
    found = pair(RIGHT, probes)
    assert found.questions == ("0", "1")
    assert found.differences().tolist() == [0.5, 0.5]


def test_what_cannot_be_paired_is_named():
    with pytest.raises(PairingError, match="seed 0 has no arm 'off'"):
        pair(RIGHT, {"0": {"on": items(1)}})
    with pytest.raises(PairingError, match="right: no question"):
        pair(RIGHT, {"0": {"on": items(1), "off": items(1, measure="by_trace")}})
    with pytest.raises(PairingError, match="no question"):
        tagged = Contrast(label="x", measure="direct", arm="on", against_arm="off", tag="rare")
        pair(tagged, {"0": {"on": items(1), "off": items(1, tags=("rare",))}})
