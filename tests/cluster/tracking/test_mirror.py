"""Metrics reach the tracker whole, in order and once, also when it fails for a while."""

import logging

from cluster.dag.metrics import log_metrics
from cluster.tracking.mirror import MetricsMirror


class UnreachableError(Exception):
    pass


class Receiver:
    """Collects what is sent; refuses the first ``failures`` calls."""

    def __init__(self, failures=0):
        self.failures, self.points = failures, []

    def __call__(self, points):
        if self.failures:
            self.failures -= 1
            raise UnreachableError
        self.points += points


def test_lines_arrive_while_the_step_runs_and_at_its_end(tmp_path):
    file, received = tmp_path / "metrics.jsonl", Receiver()
    with MetricsMirror(file, received, interval=0.01):
        for step in range(2000):  # more than one call takes
            log_metrics(file, {"loss": step / 2, "nan": float("nan")}, step=step)
    assert [(name, value, step) for name, value, step, _ in received.points] == [
        ("loss", step / 2, step) for step in range(2000)
    ]


def test_a_torn_line_waits_until_it_is_whole(tmp_path):
    file, received = tmp_path / "metrics.jsonl", Receiver()
    line = '{"step": 1, "time": 2.5, "metrics": {"loss": 3.0}}\n'
    file.write_text(line + line[:20])
    with MetricsMirror(file, received, interval=60):
        pass
    assert received.points == [("loss", 3.0, 1, 2500)]


def test_what_failed_is_sent_again(tmp_path):
    file, received = tmp_path / "metrics.jsonl", Receiver(failures=3)
    with MetricsMirror(file, received, errors=(UnreachableError,), interval=0.01) as mirror:
        log_metrics(file, {"loss": 1.0}, step=1)
        while received.failures:
            mirror._stop.wait(0.01)
    assert [point[:3] for point in received.points] == [("loss", 1.0, 1)]


def test_a_tracker_that_stays_away_does_not_fail_the_step(tmp_path, caplog):
    file = tmp_path / "metrics.jsonl"
    log_metrics(file, {"loss": 1.0}, step=1)
    with (
        caplog.at_level(logging.WARNING),
        MetricsMirror(file, Receiver(failures=10**9), errors=(UnreachableError,), interval=60),
    ):
        pass
    assert str(file) in caplog.text


def test_no_file_is_no_error(tmp_path):
    received = Receiver()
    with MetricsMirror(tmp_path / "none.jsonl", received, interval=0.01):
        pass
    assert received.points == []
