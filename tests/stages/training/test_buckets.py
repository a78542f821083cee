"""Length buckets: one per step, shares of the mix unchanged, none empty."""

from collections import Counter

import numpy as np
import pytest

from stages.training.buckets import EmptyBucketError, Turns
from stages.training.rows import Cursor, Rows
from stages.training.settings import LengthBucket, MixEntry
from stages.training.source import Source

CONTEXT = 64
BUCKETS = (
    LengthBucket(up_to=8),
    LengthBucket(up_to=32, reach=16),
    LengthBucket(up_to=CONTEXT),
)


def make(write_tokens, buckets, **lengths):
    """Rows over data sets of these lengths, whose shares are 1/2, 1/3, 1/6."""
    sources = [
        Source(write_tokens(name, of), MixEntry(dataset=name, weight=1), CONTEXT)
        for name, of in lengths.items()
    ]
    shares = [1 / 2, 1 / 3, 1 / 6][: len(sources)]
    return Rows(
        sources,
        [share / sum(shares) for share in shares],
        seed=0,
        row_tokens=CONTEXT,
        buckets=buckets,
    )


@pytest.fixture(scope="module")
def lengths():
    random = np.random.default_rng(0)
    return {
        "short": random.integers(2, 20, 400).tolist(),
        "mixed": random.integers(2, 64, 300).tolist(),
        "long": random.integers(30, 200, 50).tolist(),
    }


@pytest.mark.parametrize("buckets", [(), BUCKETS], ids=["one", "three"])
def test_data_sets_have_their_shares(write_tokens, lengths, buckets):
    rows = make(write_tokens, buckets, **lengths)
    cursor, tokens = Cursor(), Counter()
    for _ in range(1500):
        taken, cursor = rows.take(cursor, 4)
        for row in taken:
            for source, length in zip(row.source, row.lengths, strict=True):
                tokens[source] += length
    found = [tokens[i] / tokens.total() for i in range(3)]
    assert found == pytest.approx([1 / 2, 1 / 3, 1 / 6], rel=0.02)
    assert rows.fill == pytest.approx(tokens.total() / (1500 * 4 * CONTEXT), rel=0.01)


def test_a_step_takes_one_bucket(write_tokens, lengths):
    rows = make(write_tokens, BUCKETS, **lengths)
    cursor, steps = Cursor(), Counter()
    limits = [0, 8, 32, 64]
    for _ in range(600):
        taken, cursor = rows.take(cursor, 3)
        assert len({row.reach for row in taken}) == 1
        longest = [length for row in taken for length in row.lengths]
        bucket = next(i for i, limit in enumerate(limits[1:]) if max(longest) <= limit)
        assert min(longest) >= limits[bucket]
        assert taken[0].reach == (16 if bucket == 1 else None)
        steps[bucket] += 1
    assert [steps[i] / 600 for i in range(3)] == pytest.approx(rows.step_shares, abs=0.01)


def test_any_cursor_goes_on_alike(write_tokens, lengths):
    rows, again = (make(write_tokens, BUCKETS, **lengths) for _ in range(2))
    cursor = Cursor()
    for _ in range(97):
        _, cursor = rows.take(cursor, 5)
    assert again.take(Cursor.from_json(cursor.to_json()), 5) == rows.take(cursor, 5)
    seen, total = rows.seen(cursor), 0
    replay = Cursor()
    for _ in range(97):
        taken, replay = again.take(replay, 5)
        total += sum(sum(row.lengths) for row in taken)
    assert sum(part.tokens for part in seen.values()) == total


def test_an_empty_bucket(write_tokens):
    with pytest.raises(EmptyBucketError, match="pieces of 9 to 32 tokens"):
        make(write_tokens, BUCKETS, a=[4] * 50 + [60] * 50)


def test_a_data_set_may_be_missing_from_a_bucket(write_tokens):
    rows = make(write_tokens, BUCKETS, a=[4, 20, 60] * 20, b=[5] * 40)
    assert [len(bucket.order.sources[1]) for bucket in rows.buckets] == [40, 0, 0]
    in_first = [0.6 * 4 / 84, 0.4]
    assert rows.buckets[0].share == pytest.approx(sum(in_first))
    assert rows.buckets[0].order.shares == pytest.approx([s / sum(in_first) for s in in_first])


def test_turns_are_even_in_every_stretch():
    turns = Turns([0.62, 0.3, 0.08], seed=5)
    chosen = np.array([turns[step] for step in range(20_000)])
    for first, last in ((0, 100), (333, 1333), (0, 20_000), (12_345, 12_545)):
        counts = np.bincount(chosen[first:last], minlength=3)
        assert abs(counts - np.array([0.62, 0.3, 0.08]) * (last - first)).max() < 4
    assert [Turns([1.0], seed=5)[step] for step in range(5)] == [0] * 5
    assert (chosen[:200] != [Turns([0.62, 0.3, 0.08], seed=6)[s] for s in range(200)]).any()
