"""When a difference counts."""

import json

import pytest

from stages.report.records import StepRecord
from stages.report.scores import compare, metric_rows


@pytest.mark.parametrize(
    ("value", "other", "better", "verdict"),
    [
        (0.50, 0.40, "higher", "better"),
        (0.50, 0.40, "lower", "worse"),
        (0.40, 0.50, "higher", "worse"),
        (0.42, 0.40, "higher", "not significant"),
        (0.40, 0.40, "higher", "not significant"),
    ],
)
def test_two_standard_errors_of_the_difference(value, other, better, verdict):
    assert compare(value, 0.01, other, 0.01, better=better, threshold=2.0) == verdict


def test_the_limit_is_the_root_of_summed_squares():
    just_below = 2.0 * (0.03**2 + 0.04**2) ** 0.5 - 1e-9
    found = [
        compare(difference, 0.03, 0.0, 0.04, better="higher", threshold=2.0)
        for difference in (just_below, just_below + 1e-6)
    ]
    assert found == ["not significant", "better"]


def test_nothing_is_claimed_without_an_error():
    assert compare(1.0, None, 0.0, None, better="higher", threshold=2.0) == "unknown"


def evaluation(tmp_path, checkpoint, metrics):
    folder = tmp_path / checkpoint
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps({"metrics": metrics}))
    return StepRecord(f"evaluate.{checkpoint}", "evaluation", folder, {}, {})


def test_each_checkpoint_is_compared_with_the_one_before(tmp_path):
    def entry(value, **more):
        return {"name": "m", "value": value, "n": 100, "se": 0.01, "better": "higher", **more}

    strongest = {"name": "gzip", "value": 0.2}
    several = {"baseline": strongest, "baselines": [{"name": "trigram", "value": 0.1}, strongest]}
    records = [
        evaluation(tmp_path, "pretrain", [entry(0.1, **several)]),
        evaluation(tmp_path, "midtrain", [entry(0.3), {"name": "new", "value": 1.0}]),
        evaluation(tmp_path, "sft", [entry(None)]),
        evaluation(tmp_path, "rl", [entry(0.1)]),
    ]
    checkpoints, rows = metric_rows(records, 2.0)
    assert checkpoints == ["pretrain", "midtrain", "sft", "rl"]
    scores = rows[0].scores
    assert rows[0].baselines == {"trigram": 0.1, "gzip": 0.2} and rows[0].baseline == 0.2
    assert [s.change for s in scores.values()] == [None, "better", "worse"]  # sft measured nothing
    assert [s.against for s in scores.values()] == ["worse", "better", "worse"]
    assert rows[1].name == "new" and rows[1].scores["midtrain"].against is None
