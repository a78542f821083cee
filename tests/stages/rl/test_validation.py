import math

import pytest

from stages.rl.validation import Score, compare, mcnemar, paired_z, standard_error, summarise


def scored(greedy, sampled, names=None):
    names = names or tuple(f"t{i}" for i in range(len(greedy)))
    kinds = tuple("fix" if i % 2 else "output" for i in range(len(names)))
    return Score(names, kinds, tuple(greedy), tuple(sampled), tuple(float(s > 0) for s in sampled))


def test_mcnemar_is_the_exact_binomial_test():
    # 6 gained, 1 lost: 2 * (1 + 7) / 128
    before, after = [0.0] * 6 + [1.0, 1.0], [1.0] * 6 + [0.0, 1.0]
    assert mcnemar(before, after) == pytest.approx(0.125)
    assert mcnemar([1.0, 0.0], [1.0, 0.0]) == 1.0


def test_standard_error_over_prompts():
    assert standard_error([0.0, 1.0, 1.0, 0.0]) == pytest.approx(math.sqrt(1 / 3 / 4))
    assert standard_error([1.0]) == 0.0


def test_a_large_even_change_is_significant_and_noise_is_not():
    assert paired_z([0.1, 0.2, 0.3, 0.2] * 10, [0.6, 0.6, 0.9, 0.5] * 10) < 1e-6
    assert paired_z([0.1, 0.2, 0.3, 0.2], [0.2, 0.1, 0.35, 0.15]) > 0.5
    assert paired_z([0.5, 0.5], [0.5, 0.5]) == 1.0


def test_change_is_taken_over_prompts_scored_both_times():
    before = scored([0, 0, 1], [0.0, 0.0, 1.0], ("a", "b", "c"))
    after = scored([1, 1], [1.0, 0.5], ("b", "a"))
    change = compare(before, after)
    assert change["heldout_change.n"] == 2
    assert change["heldout_change.greedy"] == 1.0
    assert change["heldout_change.greedy_significance"] == "not significant"


def test_summary_has_each_kind_beside_all():
    values = summarise("heldout_before", scored([1, 0, 1, 0], [1.0, 0.5, 0.5, 0.0]), 8)
    assert values["heldout_before.greedy"] == 0.5
    assert values["heldout_before.fix.greedy"] == 0.0
    assert values["heldout_before.output.pass_at_1"] == 0.75
    assert values["heldout_before.pass_at_8"] == 0.75
    assert values["heldout_before.fix.n"] == 2
