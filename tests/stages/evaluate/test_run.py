"""The whole stage on a random model: every metric is there, and equal runs write equal bytes."""

import json

import pytest

from cluster.dag.metrics import read_metrics, read_statistics
from cluster.dag.stage import StepContext
from stages.evaluate import STAGE
from stages.evaluate.code_bits import gzip_bits, head
from stages.evaluate.fixes import is_python, judge, pass_observations
from stages.evaluate.free_traces import whole
from stages.evaluate.record import Record
from stages.evaluate.run import run
from stages.evaluate.settings import EvaluatePlacement, EvaluateSettings
from stages.evaluate.subject import Subject
from stages.evaluate.traces import passage, score
from stages.kind_checks import check_evaluation
from tests.stages.evaluate.conftest import task_of

SMALL = {
    "context_length": 640,
    "fix_samples": 8,
    "fix_tokens": 8,
    "free_traces": 2,
    "reasoning_tokens": 8,
}


def evaluate(inputs, folder, **settings):
    folder.mkdir()
    context = StepContext(
        step="evaluate.test",
        settings=EvaluateSettings(**{**SMALL, **settings}),
        placement=EvaluatePlacement(),
        inputs=inputs,
        output=folder,
        scratch=folder,
    )
    run(context)
    return context


@pytest.fixture(scope="module")
def done(inputs, tmp_path_factory):
    return evaluate(inputs, tmp_path_factory.mktemp("evaluation") / "chat")


def results(context):
    found = json.loads((context.output / "results.json").read_text())
    return {metric["name"]: metric for metric in found["metrics"]}, found


def test_every_metric_is_there(done):
    metrics, found = results(done)
    assert set(metrics) == {
        "code.bits_per_byte",
        *(f"traces.{part}" for part in ("event", "state", "changed_state", "action", "value")),
        "traces.valid_format",
        "output.direct",
        "output.direct.not_argument",
        "output.by_trace",
        "output.by_reasoning",
        "fix.pass_at_1",
        "fix.pass_at_8",
        "fix.greedy",
    }
    assert found["settings"]["context_length"] == 640
    for metric in metrics.values():
        assert (
            metric["n"] >= 2
            and metric["se"] is not None
            and metric["clusters"] == (10 if metric["name"].startswith("code") else 2)
        )
    check_evaluation(done.output)


def test_a_random_model_is_no_better_than_the_baselines(done):
    metrics, _ = results(done)
    bits = metrics["code.bits_per_byte"]
    assert bits["better"] == "lower" and bits["value"] > bits["baseline"]["value"]
    assert {b["name"] for b in bits["baselines"]} == {"trigram", "gzip"}
    assert bits["baseline"] == min(bits["baselines"], key=lambda b: b["value"])
    assert metrics["traces.changed_state"]["baseline"] == {"name": "copying ..", "value": 0.0}
    assert metrics["traces.state"]["baseline"]["value"] > 0
    assert metrics["traces.action"]["baseline"]["name"] == "the next line"
    assert 0 < metrics["traces.event"]["baseline"]["value"] < 1
    assert metrics["fix.greedy"]["value"] == 0
    edit, edits = (metrics[f"fix.pass_at_{k}"]["baseline"] for k in (1, 8))
    assert edit["name"] == edits["name"] == "a random edit" and 0 < edit["value"] < edits["value"]


def test_metrics_and_statistics_are_logged(done):
    metrics, _ = results(done)
    logged = list(read_metrics(done.metrics_file))[-1]["metrics"]
    statistics = read_statistics(done.statistics_file)
    for name, metric in metrics.items():
        assert logged[name] == statistics[name] == metric["value"]
    assert set(STAGE.headline) <= set(statistics)


def test_examples_name_their_origin(done):
    rows = [json.loads(line) for line in (done.output / "examples.jsonl").read_text().splitlines()]
    shown = {row["metric"] for row in rows}
    assert {"traces.changed_state", "output.direct", "output.by_trace", "fix.greedy"} <= shown
    for row in rows:
        assert {"task", "prompt", "prediction", "truth", "correct"} <= set(row)
        assert row["origin"] == "generator" and row["licence"] == "Apache-2.0"


def test_equal_runs_write_equal_bytes(inputs, done, tmp_path):
    again = evaluate(inputs, tmp_path / "again")
    for name in ("results.json", "examples.jsonl"):
        assert (again.output / name).read_bytes() == (done.output / name).read_bytes()


def test_completion_prompts_and_parts_switched_off(inputs, tmp_path):
    context = evaluate(
        inputs,
        tmp_path / "completion",
        prompt_style="completion",
        code_bytes=0,
        frame_traces=0,
        free_traces=0,
        fix_tasks=0,
    )
    metrics, _ = results(context)
    assert set(metrics) == {"output.direct", "output.direct.not_argument", "output.by_trace"}
    assert all(metric["prompt"] == "completion" for metric in metrics.values())


@pytest.fixture
def subject(inputs):
    settings = EvaluateSettings(context_length=256)
    return Subject.load(inputs["checkpoint"].path, settings, EvaluatePlacement())


def test_a_passage_is_what_fits(subject, row, inputs):
    found = passage(row, subject)
    assert len(found.ids) <= 256 and found.steps[0][0].event == "call"
    assert len(score([found], subject)[0]) == len(found.steps) - 1
    narrow = Subject.load(
        inputs["checkpoint"].path, EvaluateSettings(context_length=16), EvaluatePlacement()
    )
    assert passage(row, narrow) is None


def test_only_whole_traces_are_written_freely(row):
    assert whole(row)
    assert not whole({**row, "frames": row["frames"][:-1]})
    assert not whole({**row, "frames": row["frames"][1:]})


def test_repairs_are_judged_by_running_them(row):
    tasks = [task_of(row, "fix", 0), task_of({**row, "group": "other"}, "fix", 1)]
    right, wrong = "    y = x * 2", "    y = x * 4"
    answers = [[right] * 2 + [wrong] * 6, [wrong] * 8]
    verdicts = judge(tasks, answers)
    assert verdicts == {("fix:0", right): True, ("fix:0", wrong): False, ("fix:1", wrong): False}
    one = pass_observations(tasks, answers, verdicts, 1)
    assert [o.amount for o in one] == [0.25, 0.0]
    assert [o.amount for o in pass_observations(tasks, answers, verdicts, 8)] == [1.0, 0.0]
    verdicts["fix:0", wrong] = None  # the sandbox failed: neither right nor wrong
    one = pass_observations(tasks, answers, verdicts, 1)
    assert [o.amount for o in one] == [1.0, 0.0]
    assert len(pass_observations(tasks, answers, verdicts, 8)) == 1


def test_what_is_no_python_fails_without_a_run(row):
    task = task_of(row, "fix", 0)
    for text in ("    y = = 2", "y = '\0'", "", "y = \ud800"):
        assert not is_python(task, text)
        assert judge([task], [[text]]) == {(task.id, text): False}
    assert is_python(task, "y = x * 9")


def test_text_is_cut_between_characters():
    assert head("aé", 2) == "a" and head("aé", 3) == "aé" and head("abc", 9) == "abc"
    assert gzip_bits(b"a" * 1000) < 8 * 100


def test_a_metric_without_observations_is_counted_as_left_out():
    record = Record(3)
    record.add("traces.state", [])
    assert not record.metrics and record.left_out["traces.state"] == 1


@pytest.mark.parametrize(
    "changes", [{"top_p": 0.0}, {"fix_samples": 0}, {"prompt_style": "poem"}, {"code_bytes": -1}]
)
def test_settings_name_what_is_wrong(changes):
    with pytest.raises(ValueError, match=f"evaluate.{next(iter(changes))}"):
        EvaluateSettings(**changes)
