"""A sample by hash: order-free, within its budget."""

import random

from stages.tokenizer.sample import sample_by_hash

ROWS = [(f"key{n}", n, 1 + n % 7) for n in range(200)]


def test_the_order_of_rows_does_not_matter():
    expected = sample_by_hash(ROWS, budget=100, seed=0)
    for seed in range(20):
        shuffled = random.Random(seed).sample(ROWS, len(ROWS))
        assert sample_by_hash(shuffled, budget=100, seed=0) == expected


def test_the_budget_holds_and_is_used():
    chosen = sample_by_hash(ROWS, budget=100, seed=0)
    assert 94 <= sum(1 + n % 7 for n in chosen) <= 100
    assert sorted(sample_by_hash(ROWS, budget=10_000, seed=0)) == list(range(200))
    assert sample_by_hash(ROWS, budget=0, seed=0) == []


def test_a_smaller_budget_takes_a_prefix_and_another_seed_another_sample():
    large, small = (sample_by_hash(ROWS, budget=budget, seed=0) for budget in (200, 50))
    assert large[: len(small)] == small
    assert sample_by_hash(ROWS, budget=50, seed=1) != small


def test_one_oversized_item_is_better_than_nothing():
    assert sample_by_hash([("a", "huge", 999)], budget=10, seed=0) == ["huge"]
