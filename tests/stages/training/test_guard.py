"""Steps that would do harm are skipped: nothing changes, all ranks agree, and it is on record."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.dag.metrics import read_metrics
from stages.pretrain.settings import PretrainSettings
from stages.training.guard import DivergedError, Guard
from stages.training.rows import Cursor
from stages.training.schedule import ConstantSchedule
from stages.training.settings import GuardSettings
from tests.stages.training.conftest import SMALL, TINY_SCHEDULE
from tests.stages.training.poisoned import losses_of, same, trained

SETTINGS = PretrainSettings(
    steps=10,
    rows_per_step=3,
    schedule=TINY_SCHEDULE,
    guard=GuardSettings(spike_sigmas=30, window=4, max_skips=3),
    **SMALL,
)
AT = 7


@pytest.fixture
def steady(job):
    """Return a function that makes a job whose learning rate is constant."""

    def make(settings=SETTINGS, **placement):
        # the step that is left out must not change the others' learning rate
        return replace(job(settings, **placement), schedule=ConstantSchedule(1e-2, 1))

    return make


@pytest.mark.parametrize(
    ("precision", "factor"), [("float32", 1e6), ("float32", math.nan), ("bfloat16", math.nan)]
)
def test_a_poisoned_step_leaves_weights_and_moments_as_they_were(steady, precision, factor):
    settings = replace(SETTINGS, precision=precision)
    poisoned, shorter = steady(settings), steady(settings)
    assert same(trained(poisoned, [AT], factor), trained(shorter, leave_out=AT))
    after = {step: loss for step, loss in losses_of(poisoned).items() if step != AT + 1}
    assert after == losses_of(shorter)
    (line,) = map(json.loads, (poisoned.output / "skipped.jsonl").read_text().splitlines())
    assert line["step"] == AT + 1
    assert line["reason"] == ("not finite" if math.isnan(factor) else "spike")
    rows, cursor = poisoned.rows(), Cursor()
    for _ in range(AT + 1):
        taken, cursor = rows.take(cursor, 3)
    assert sum(map(len, line["documents"].values())) == sum(len(row.start) for row in taken)
    last = list(read_metrics(poisoned.metrics_file))[-4]["metrics"]
    assert last["skipped_steps"] == 1


def test_a_resumed_guard_decides_as_if_nothing_had_happened(steady):
    straight, made = (steady(checkpoint_every=5) for _ in range(2))
    weights = trained(straight, [AT], 1e6)
    trained(replace(made, settings=replace(SETTINGS, steps=6)))
    # four earlier steps must be known for a spike to be one: three of them were made before
    assert same(weights, trained(made, [AT], 1e6))
    assert losses_of(made) == losses_of(straight)


def test_too_many_skips_in_a_row_end_training(steady):
    made = steady(checkpoint_every=1)
    with pytest.raises(DivergedError, match=r"last 3 steps, up to step 5, .*skipped\.jsonl"):
        trained(made, range(2, 10))
    assert len((made.output / "skipped.jsonl").read_text().splitlines()) == 3
    assert list(losses_of(made)) == [1, 2]
    # it is found where it was: the next try ends at the same place
    with pytest.raises(DivergedError, match="up to step 5"):
        trained(made, range(2, 10))


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), max_size=60), st.integers(0, 60))
def test_decisions_are_those_of_a_guard_that_was_saved_and_loaded(values, saved_at):
    settings = GuardSettings(spike_sigmas=1.0, window=5)
    straight, resumed = Guard(settings, {}), Guard(settings, {})
    for number, (loss, norm) in enumerate(values):
        if number == saved_at:
            resumed = Guard(settings, json.loads(json.dumps(resumed.state())))
        assert straight.judge(loss, norm) == resumed.judge(loss, norm)


def test_what_counts_as_a_spike():
    guard = Guard(GuardSettings(spike_sigmas=3, window=4), {})
    levels = [1.0, 1.2, 0.8, 1.0]
    assert [guard.judge(x, 1.0 + i / 10) for i, x in enumerate(levels)] == [""] * 4
    assert guard.judge(9.0, 1.0) == "spike"  # too high
    assert guard.judge(0.1, 1.0) == ""  # low is no harm
    assert guard.judge(1.0, 50.0) == "spike"  # the gradient
    assert guard.judge(math.nan, 1.0) == guard.judge(1.0, math.inf) == "not finite"
    assert (guard.skipped, guard.in_a_row) == (4, 3)
    # a level that stays becomes the normal one
    assert "" in [guard.judge(9.0, 50.0) for _ in range(4)]
    assert guard.in_a_row == 0


def test_without_sigmas_only_what_is_not_finite_counts():
    guard = Guard(GuardSettings(), {})
    assert [guard.judge(x, x) for x in (1.0,) * 200 + (1e30,)] == [""] * 201
    assert guard.state() == {"skipped": 0, "in_a_row": 0, "losses": [], "norms": []}


@pytest.mark.parametrize(
    "wrong", [{"spike_sigmas": -1.0}, {"window": 1}, {"max_skips": 0}], ids=lambda w: next(iter(w))
)
def test_settings_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GuardSettings(**wrong)
