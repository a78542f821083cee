"""Steps of several ranks: unequal shares, one decision, parts of rows."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from cluster.dag.metrics import read_metrics
from stages.pretrain.settings import PretrainSettings
from stages.training.schedule import ConstantSchedule
from stages.training.step import shares
from tests.ranks import run_ranks
from tests.stages.training.conftest import SMALL, TINY_SCHEDULE
from tests.stages.training.poisoned import losses_of, same, several, trained
from tests.stages.training.test_samples import write_traces

SETTINGS = PretrainSettings(
    steps=6,
    rows_per_step=3,
    schedule=TINY_SCHEDULE,
    **{**SMALL, "context_length": 256, "row_tokens": 256},  # room for a trace
)


def held_out(job):
    """The losses on held-out data, in order."""
    lines = [line["metrics"] for line in read_metrics(job.metrics_file)]
    return [line["validation_loss"] for line in lines if "validation_loss" in line]


def test_two_ranks_with_unequal_shares_and_with_parts_of_rows(job, tokenizer_folder):
    """Three rows on two ranks: one of them makes a pass that weighs nothing."""

    def make(sequence_parallel=1):
        given = job(SETTINGS, workers=2, sequence_parallel=sequence_parallel, validate_every=3)
        for name, folder in given.tokens.items():
            write_traces(folder / "heldout", tokenizer_folder, name)
        return replace(
            given,
            config=replace(given.config, num_key_value_heads=2),
            schedule=ConstantSchedule(1e-2, 1),
        )

    plain, poisoned, shorter, parts, alone = make(), make(), make(), make(2), make()
    ranks = run_ranks(
        2, several, (plain,), (poisoned, [3], math.nan), (shorter, (), math.nan, 3), (parts,)
    )
    trained(alone)
    for _, with_poison, without, _ in ranks:
        assert same(with_poison, without)
    for other in (plain, parts):
        assert list(losses_of(other).values()) == pytest.approx(
            list(losses_of(alone).values()), abs=1e-5
        )
        assert held_out(other) == pytest.approx(held_out(alone), abs=1e-5)
        assert (other.output / "samples.md").read_text() == (
            alone.output / "samples.md"
        ).read_text()


@pytest.mark.parametrize(("rows", "ranks", "micro"), [(4, 3, 1), (5, 2, 2), (1, 4, 1), (6, 3, 8)])
def test_all_ranks_make_equally_many_passes_over_each_row_once(rows, ranks, micro):
    found = [
        shares(range(rows), SimpleNamespace(data_rank=rank, data_size=ranks), micro)
        for rank in range(ranks)
    ]
    assert len({len(passes) for passes in found}) == 1
    assert sorted(row for passes in found for part in passes for row in part) == list(range(rows))
    assert all(len(part) <= micro for passes in found for part in passes)
