import math
from itertools import combinations

import pytest

from stages.evaluate.estimate import Observation, pass_at_k, ratio


def test_independent_observations_have_the_binomial_error():
    found = ratio(Observation(str(i), float(i < 30)) for i in range(100))
    assert (found.value, found.n, found.clusters) == (0.3, 100, 100)
    assert found.se == pytest.approx(math.sqrt(0.3 * 0.7 / 99))


def test_copies_within_a_cluster_add_no_certainty():
    once = ratio(Observation(str(i), float(i < 30)) for i in range(100))
    copied = ratio(Observation(str(i), float(i < 30)) for i in range(100) for _ in range(5))
    assert copied.se == pytest.approx(once.se) and copied.n == 500


def test_ratio_weighs_by_size():
    found = ratio([Observation("a", 10.0, 4.0), Observation("b", 2.0, 2.0)])
    assert found.value == 2.0
    # residuals 10 - 8 and 2 - 4
    assert found.se == pytest.approx(math.sqrt(2 * (4 + 4)) / 6)


def test_one_cluster_has_no_error_and_nothing_no_estimate():
    assert ratio([Observation("a", 1.0), Observation("a", 0.0)]).se is None
    assert ratio([]) is None


@pytest.mark.parametrize(("n", "passed", "k"), [(8, 0, 8), (8, 1, 8), (8, 3, 1), (10, 4, 3)])
def test_pass_at_k_equals_trying_all_subsets(n, passed, k):
    subsets = list(combinations([True] * passed + [False] * (n - passed), k))
    assert pass_at_k(n, passed, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_pass_at_k_needs_k_samples():
    with pytest.raises(ValueError, match="pass@8"):
        pass_at_k(7, 1, 8)


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_unanimity_leaves_doubt(right):
    found = ratio(Observation(str(i), right) for i in range(98))
    assert found.value == right and found.se == pytest.approx(math.sqrt(0.01 * 0.99 / 100))
