"""Numbers of workers that cannot share a step are refused, with the nearest ones that can."""

from dataclasses import replace

import pytest

from stages.pretrain.settings import PretrainSettings
from stages.training.settings import ModelSettings, ScheduleSettings, TrainingPlacement, bundles
from stages.training.world import SequenceParallelError, WorldError, check_workers

CWM = PretrainSettings(  # 8.4 M tokens in rows of 8,192
    model=ModelSettings(heads=48, kv_heads=8),
    context_length=8_192,
    row_tokens=8_192,
    rows_per_step=1_024,
    schedule=ScheduleSettings(horizon_tokens=10**13),
)
PAPER = TrainingPlacement(workers=2_048, sequence_parallel=2)


def refused(**placement):
    with pytest.raises(WorldError) as found:
        check_workers(replace(PAPER, **placement), CWM)
    return str(found.value)


def test_the_papers_shape_fits():
    check_workers(PAPER, CWM)
    assert len(bundles(PAPER, CWM)) == 2_048


def test_pure_data_parallelism_on_2048_gpus_cannot_be():
    assert refused(sequence_parallel=1) == (
        "2,048 workers cannot share a step of rows_per_step = 1,024 (8.39 M tokens): with"
        " sequence_parallel = 1 and micro_rows = 1 they take 2,048 rows at a time. What works, one"
        " change alone: workers = 1,024; sequence_parallel = 2; rows_per_step = 2,048 (the last"
        " changes the result)"
    )


def test_groups_that_do_not_divide_the_workers():
    said = refused(workers=2_047)
    assert "sequence_parallel = 2 does not divide the workers, 2,047" in said
    assert "workers = 1,024 or 2,048" in said


def test_more_in_a_group_than_there_are_kv_heads():
    with pytest.raises(SequenceParallelError, match=r"kv_heads = 8.*sequence_parallel = 8$"):
        check_workers(replace(PAPER, sequence_parallel=16), CWM)


def test_forward_passes_that_do_not_divide_a_share():
    assert "micro_rows = 1; rows_per_step = 3,072" in refused(micro_rows=3)


def test_a_step_that_no_single_change_saves():
    odd = replace(CWM, rows_per_step=7, model=ModelSettings(heads=3, kv_heads=3))
    with pytest.raises(WorldError, match="No change of one setting alone works"):
        check_workers(replace(PAPER, workers=4, micro_rows=2), odd)


def test_nodes_that_do_not_divide_the_workers():
    assert "partition_within = 7 does not divide the workers, 2,048: use 4 or 8" in refused(
        partition_within=7
    )


@pytest.mark.parametrize("least", [-1, 2_049])
def test_fewest_workers_out_of_range(least):
    assert "allowed: 0 (wait for all) to workers = 2,048" in refused(min_workers=least)


@pytest.mark.parametrize("groups", [{"sequence_parallel": 2}, {"partition_within": 8}])
def test_elastic_worlds_keep_no_groups(groups):
    elastic = TrainingPlacement(workers=1_024, min_workers=512)
    check_workers(elastic, CWM)
    with pytest.raises(WorldError, match="use min_workers = 0"):
        check_workers(replace(elastic, **groups), CWM)
