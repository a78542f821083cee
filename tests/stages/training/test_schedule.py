"""One cosine over two stages: continuous at the boundary, and never more tokens than it has."""

import pytest

from stages.training.schedule import (
    ConstantSchedule,
    CosineSchedule,
    ScheduleError,
    check_horizon,
)
from stages.training.settings import ScheduleSettings

SETTINGS = ScheduleSettings(peak_learning_rate=1.0, warmup_steps=10, horizon_tokens=200 * 256)


def test_two_stages_follow_the_curve_of_one():
    whole = CosineSchedule(SETTINGS, 256)
    second = CosineSchedule(SETTINGS, 256, start_tokens=120 * 256, start_step=120)
    assert [second(i) for i in range(80)] == [whole(120 + i) for i in range(80)]


def test_shape():
    whole = CosineSchedule(SETTINGS, 256)
    assert [whole(i) for i in (0, 4, 9)] == [0.1, 0.5, 1.0]
    assert whole(200) == pytest.approx(0.01)
    assert all(whole(i) > whole(i + 1) for i in range(10, 200))


def test_the_papers_rate_at_the_boundary():
    paper = ScheduleSettings(peak_learning_rate=8e-4, warmup_steps=2000, horizon_tokens=13 * 10**12)
    boundary = CosineSchedule(paper, 33_600_000, start_tokens=8 * 10**12, start_step=952_000)
    assert boundary(0) == pytest.approx(2.64e-4, rel=0.01)


def test_constant():
    schedule = ConstantSchedule(0.5, 2)
    assert [schedule(i) for i in (0, 1, 2, 1000)] == [0.25, 0.5, 0.5, 0.5]


def test_more_tokens_than_the_horizon_are_refused():
    check_horizon(SETTINGS, 200 * 256)
    with pytest.raises(ScheduleError, match="horizon_tokens = 51,200"):
        check_horizon(SETTINGS, 201 * 256)
