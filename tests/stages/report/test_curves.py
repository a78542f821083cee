"""Curves read from metrics files."""

from cluster.dag.metrics import log_metrics
from stages.report.curves import Curve, read_curves, smooth, thin
from stages.report.plots import curves_figure
from stages.report.records import StepRecord


def test_a_repeated_step_counts_as_it_went_last(tmp_path):
    file = tmp_path / "metrics.jsonl"
    for step, loss in ((1, 5.0), (2, 4.0), (2, 3.5), (3, 3.0)):
        log_metrics(file, {"loss": loss, "learning_rate": 0.1}, step=step)
    with file.open("a") as torn:
        torn.write('{"step": 4, "metr')
    found = read_curves(StepRecord("pretrain", "checkpoint", tmp_path, {}, {}), ("loss",))
    assert found == [Curve("pretrain", "loss", [1, 2, 3], [5.0, 3.5, 3.0])]


def test_smoothing_means_the_last_values():
    assert smooth([1.0, 3.0, 5.0, 7.0], 2) == [1.0, 2.0, 4.0, 6.0]


def test_thinning_keeps_the_ends():
    curve = Curve("s", "loss", list(range(1001)), [float(i) for i in range(1001)])
    thinned = thin(curve, 100)
    assert len(thinned.x) <= 102
    assert (thinned.x[0], thinned.x[-1]) == (0, 1000)


def test_long_curves_are_drawn_smoothed_and_none_without_points():
    curve = Curve("rl", "reward", list(range(100)), [i / 100 for i in range(100)])
    assert "<svg" in curves_figure([curve], "reward")
    assert curves_figure([Curve("rl", "reward", [], [])], "reward") is None
