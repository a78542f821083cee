"""However a step is divided over ranks and wherever its state lies, it is plain AdamW's step."""

import pytest

from tests.ranks import run_ranks
from tests.stages.training.equality import Case, plain, sharded

STEPS, REACH = 20, 24
TWO = {
    "accumulation": Case(steps=STEPS),
    "blocks computed again": Case(steps=STEPS, micro_rows=2, recompute="full"),
    "all but products computed again": Case(micro_rows=2, recompute="selective"),
    "optimizer in the node's memory": Case(micro_rows=2, offload="optimizer"),
    "all in the node's memory": Case(micro_rows=2, offload="all"),
    "shared rows": Case(micro_rows=3, sequence_parallel=2, recompute="selective"),
    "shared rows, limited reach": Case(
        micro_rows=2, sequence_parallel=2, recompute="full", reach=REACH
    ),
    "bfloat16 sums": Case(micro_rows=2, gradient_dtype="bfloat16"),
    "bfloat16": Case(micro_rows=2, bfloat16=True),
}
EXACT = [name for name in TWO if "bfloat16" not in name]
FOUR = (
    Case(sequence_parallel=2),
    Case(sequence_parallel=2, micro_rows=2, partition_within=2),
    Case(steps=2, bfloat16=True),
    Case(steps=2, bfloat16=True, partition_within=2),
)


def all_of(cases):
    """Train each in turn. DeepSpeed makes the groups of the second partition once a process."""
    from cluster.deepspeed import start_process

    start_process()  # before DeepSpeed itself is imported
    from deepspeed.utils import groups

    found = []
    for case in cases:
        groups._ZERO_PARAM_INTRA_PARALLEL_GROUP = None
        found.append(sharded(case))
    return found


@pytest.fixture(scope="module")
def two():
    outcomes = run_ranks(2, all_of, list(TWO.values()))
    return [dict(zip(TWO, found, strict=True)) for found in outcomes]


@pytest.mark.parametrize("name", EXACT)
def test_two_ranks_train_as_plain_torch_does(two, name):
    case = TWO[name]
    true = plain(case.steps, case.reach)
    error = 2e-6 if case.sequence_parallel > 1 else 5e-6
    for rank in two:
        assert rank[name].losses == pytest.approx(true.losses, abs=error)
        assert rank[name].norms == pytest.approx(true.norms, rel=2e-5)
        assert rank[name].held_out == pytest.approx(true.held_out, abs=error)


def test_each_rank_holds_half(two):
    for rank in two:
        assert rank["accumulation"].parameters == rank["accumulation"].optimizer == 0.5


def test_reach_changes_what_global_layers_see():
    assert plain(1).losses[0] != pytest.approx(plain(1, REACH).losses[0], abs=1e-4)


@pytest.mark.parametrize(("name", "error"), [("bfloat16 sums", 2e-3), ("bfloat16", 2e-2)])
def test_bfloat16_is_near_and_is_used(two, name, error):
    true = plain(4)
    for rank in two:
        assert rank[name].losses == pytest.approx(true.losses, abs=error)
        assert rank[name].losses != pytest.approx(true.losses, abs=1e-5)


def test_four_ranks_share_rows_and_partition_within_pairs():
    true = plain(4)
    for shared, within, half, half_within in run_ranks(4, all_of, FOUR):
        for outcome in (shared, within):
            assert outcome.losses == pytest.approx(true.losses, abs=2e-6)
            assert outcome.norms == pytest.approx(true.norms, rel=2e-5)
            assert outcome.held_out == pytest.approx(true.held_out, abs=2e-6)
            assert outcome.parameters == outcome.optimizer == 0.25
        assert half_within.losses == pytest.approx(half.losses, abs=1e-6)
        assert (shared.second, half.second) == (0, 0)
        assert within.second == half_within.second == 0.5
