"""What is said while workers train."""

import pytest

from stages.pretrain.settings import PretrainSettings
from stages.training.progress import duration, line_of, seconds_per_step
from tests.stages.training.conftest import SMALL, TINY_SCHEDULE

SETTINGS = PretrainSettings(steps=100, rows_per_step=2, schedule=TINY_SCHEDULE, **SMALL)


def lines(*steps, **metrics):
    """Lines of metrics a second apart."""
    rest = {"tokens_per_second": 640.0, "mfu": 0.25, "skipped_steps": 0.0, **metrics}
    return [
        {"step": step, "time": 50.0 + i, "metrics": {"loss": 2.0, **rest}}
        for i, step in enumerate(steps)
    ]


def test_a_line(job):
    assert line_of(job(SETTINGS), lines(10, 20, 30)) == (
        "██████░░░░░░░░░░░░░░ step 30 of 100, loss 2.000, 640 tokens/s, MFU 25%, 7 s left"
    )
    (skipped,) = lines(30, skipped_steps=4.0)
    del skipped["metrics"]["loss"]
    assert "steps are skipped, 640" in line_of(job(SETTINGS), [skipped])
    assert line_of(job(SETTINGS), [skipped]).endswith("left, 4 skipped")


def test_the_time_of_a_step_is_that_between_lines(job):
    made = job(SETTINGS)
    assert seconds_per_step(made, lines(*range(0, 100, 4))) == 0.25
    assert seconds_per_step(made, lines(5)) == pytest.approx(128 / 640)  # as the steps alone take
    assert seconds_per_step(made, lines(40, 20)) == pytest.approx(128 / 640)  # a restart


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(42, "42 s"), (300, "5 min"), (12_000, "3 h 20 min"), (360_000, "4 d 4 h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
