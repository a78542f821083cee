"""A long row shared by two workers: the memory it takes, and the loss of one worker."""

import pytest

from benchmarks.long_context import BAR, BEFORE, measure

TOKENS = 16_384


@pytest.mark.long
def test_a_long_row_fits():
    (alone,) = measure(1, TOKENS, "full")
    for cost in measure(2, TOKENS, "full"):
        assert cost.loss == pytest.approx(alone.loss, abs=2e-6)
        # of what 131,072 tokens may take, an eighth
        assert cost.peak < BEFORE + (BAR - BEFORE) * TOKENS / 131_072
