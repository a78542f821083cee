"""The helper that starts several ranks: results in order, and a failing rank's traceback."""

import os
import time

import pytest
import torch
import torch.distributed as dist

from tests.ranks import RankError, run_ranks


def total(number):
    tensor = torch.tensor(float(number + dist.get_rank()))
    dist.all_reduce(tensor)
    return dist.get_rank(), tensor.item()


def fail_on_one():
    if dist.get_rank() == 1:
        raise ValueError("what rank 1 says")
    dist.barrier()


def test_each_rank_has_a_result():
    assert run_ranks(2, total, 10) == [(0, 21.0), (1, 21.0)]


def test_a_rank_that_fails_or_hangs_or_dies_is_named():
    with pytest.raises(RankError, match=r"(?s)rank 1:.*what rank 1 says"):
        run_ranks(2, fail_on_one)
    with pytest.raises(RankError, match=r"ranks \[0\] did not end in time"):
        run_ranks(1, time.sleep, 60, timeout=5)
    with pytest.raises(RankError, match="rank 0 ended without a result"):
        run_ranks(1, os._exit, 3)
