"""A toy chain recorded in sqlite, walked through MLflow's own API as its UI does."""

import json
import socket
import subprocess
import sys

import pytest
from mlflow.tracking import MlflowClient

from cluster.tracking import address
from cluster.tracking.address import EXPERIMENT, choose_uri, embedded_uri
from cluster.tracking.names import metric_name
from cluster.tracking.record import NoTracker, TrackingError, open_tracker
from tests.cluster.tracking.toy import build_chain, build_models, record_cached


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    tracker = open_tracker(embedded_uri(store), store)
    toy, parent = build_chain(store, tracker)
    return toy, parent, tracker.client


def producer(dataset):
    return json.loads(dataset.source)["producer_run_id"]


def inputs_by_name(run):
    tags = [{t.key: t.value for t in d.tags} for d in run.inputs.dataset_inputs]
    pairs = zip(tags, run.inputs.dataset_inputs, strict=True)
    return {t["cwm.input"]: d.dataset for t, d in pairs if t["mlflow.data.context"] == "input"}


def walk_to_crawl(client, run_id):
    """Follow checkpoint, tokens, corpus and documents as a person clicks them; return the steps
    seen.
    """
    seen = []
    run = client.get_run(run_id)
    while True:
        seen.append(run.data.tags["cwm.step"])
        datasets = inputs_by_name(run)
        if run.inputs.model_inputs:
            model = client.get_logged_model(run.inputs.model_inputs[0].model_id)
            run = client.get_run(model.source_run_id)
        elif datasets:
            choice = next(n for n in ("code", "source", "documents") if n in datasets)
            run = client.get_run(producer(datasets[choice]))
        else:
            return seen


def test_walk_from_evaluation_to_crawl(recorded):
    toy, _parent, client = recorded
    start = toy.records["evaluate.midtrain"]["run_id"]
    assert walk_to_crawl(client, start) == [
        "evaluate.midtrain",
        "midtrain",
        "pretrain",
        "tokenize.code",
        "curate",
        "crawl",
    ]


def test_children_belong_to_the_ended_pipeline(recorded):
    toy, parent, client = recorded
    assert client.get_run(parent).info.status == "FINISHED"
    for record in toy.records.values():
        run = client.get_run(record["run_id"])
        assert run.data.tags["mlflow.parentRunId"] == parent
        assert run.info.status == "FINISHED"
        assert run.data.tags["cwm.fingerprint"] == record["fingerprint"]
        assert run.info.experiment_id == client.get_experiment_by_name(EXPERIMENT).experiment_id


def test_evaluation_metric_names_its_model_and_dataset(recorded):
    toy, _, client = recorded
    run = client.get_run(toy.records["evaluate.midtrain"]["run_id"])
    assert run.data.metrics["traces.changed_state"] == 0.4375
    assert run.data.metrics["traces.changed_state.n"] == 400
    model = client.get_logged_model(run.inputs.model_inputs[0].model_id)
    measured = {m.key: m for m in model.metrics}
    digest = toy.records["trace"]["content_digest"][:32]
    assert measured["traces.changed_state"].dataset_digest == digest
    assert measured["traces.changed_state"].dataset_name == "trace"
    assert measured["code.bits_per_byte"].dataset_name == "curate"
    assert measured["output.direct"].dataset_name == "tasks"


def test_curves_and_statistics_reach_the_run(recorded):
    toy, _, client = recorded
    run_id = toy.records["pretrain"]["run_id"]
    history = client.get_metric_history(run_id, "pretrain/loss")
    assert [(m.step, m.value) for m in history] == [(i, 4.0 / (i + 1)) for i in range(5)]
    run = client.get_run(run_id)
    assert run.data.metrics["pretrain/parameters"] == 1234
    assert run.data.params["mix.code"] == "1.0"


def test_description_begins_with_links(recorded):
    toy, parent, client = recorded
    run = client.get_run(toy.records["midtrain"]["run_id"])
    rows = run.data.tags["mlflow.note.content"].splitlines()
    assert rows[2].startswith("| **made from** |")
    assert f"/runs/{toy.records['pretrain']['run_id']}?workflowType=machine_learning" in rows[2]
    table = client.get_run(parent).data.tags["mlflow.note.content"]
    assert all(record["run_id"] in table for record in toy.records.values())


def test_small_files_are_artifacts_and_weights_are_not(recorded):
    toy, _, client = recorded
    names = {f.path for f in client.list_artifacts(toy.records["pretrain"]["run_id"])}
    assert {"record.json", "statistics.json", "config.json"} <= names
    assert not names & {"model.safetensors", "metrics.jsonl"}


def test_cached_steps_still_walk(recorded):
    toy, _, client = recorded
    parent = record_cached(toy, *toy.records)
    children = client.search_runs(
        [client.get_run(parent).info.experiment_id],
        filter_string=f"tags.`mlflow.parentRunId` = '{parent}'",
    )
    assert len(children) == len(toy.records)
    for child in children:
        original = toy.records[child.data.tags["cwm.step"]]["run_id"]
        assert child.data.tags["cwm.status"] == "cached"
        assert child.data.tags["cwm.cached_from"] == original
        assert original in child.data.tags["mlflow.note.content"]
    cached = next(c for c in children if c.data.tags["cwm.step"] == "evaluate.pretrain")
    assert walk_to_crawl(client, cached.info.run_id)[1:] == [
        "pretrain",
        "tokenize.code",
        "curate",
        "crawl",
    ]
    assert cached.data.metrics["traces.changed_state"] == 0.0525


def test_untracked_attempts_are_recorded_by_the_first_pipeline_that_finds_them(tmp_path):
    toy, _ = build_chain(tmp_path, NoTracker())
    toy.tracker = open_tracker(embedded_uri(tmp_path), tmp_path)
    parent = record_cached(toy, *toy.records)
    client = toy.tracker.client
    children = client.search_runs(
        [toy.tracker.experiment], filter_string=f"tags.`mlflow.parentRunId` = '{parent}'"
    )
    last = next(c for c in children if c.data.tags["cwm.step"] == "evaluate.midtrain")
    assert walk_to_crawl(client, last.info.run_id)[-1] == "crawl"


def test_a_changed_step_walks_to_the_cached_ones(tmp_path):
    tracker = open_tracker(embedded_uri(tmp_path), tmp_path)
    toy, _ = build_chain(tmp_path, tracker)
    parent = tracker.start_pipeline("full", "smoke", "again", {})
    for step in [s for s in toy.records if s.split(".")[0] not in ("midtrain", "evaluate")]:
        tracker.record_cached(parent, step=step, artifact=toy.records[step], path=toy.paths[step])
    build_models(toy, parent, learning_rate=0.002, salt="second")
    steps = walk_to_crawl(tracker.client, toy.records["evaluate.midtrain"]["run_id"])
    assert steps[-1] == "crawl" and steps[1] == "midtrain"


def test_a_failed_attempt_keeps_its_error(tmp_path):
    tracker = open_tracker(embedded_uri(tmp_path), tmp_path)
    parent = tracker.start_pipeline("full", "smoke", "", {})
    run = tracker.start_attempt(
        parent, step="crawl", stage="crawl", fingerprint="f", attempt="a", settings={}, inputs=[]
    )
    tracker.finish_attempt(run, artifact={}, path=tmp_path, status="FAILED", error="disk full")
    assert tracker.client.get_run(run).info.status == "FAILED"
    assert tracker.client.get_run(run).data.tags["cwm.error"] == "disk full"


def test_runs_of_a_dead_process_are_closed(tmp_path):
    tracker = open_tracker(embedded_uri(tmp_path), tmp_path)
    left = tracker.start_pipeline("full", "smoke", "", {})
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    tracker.client.set_tag(left, "cwm.pid", str(process.pid))
    alive = tracker.start_pipeline("full", "smoke", "", {})
    tracker.start_pipeline("full", "smoke", "", {})
    assert tracker.client.get_run(left).info.status == "KILLED"
    assert tracker.client.get_run(alive).info.status == "RUNNING"


WRITER = """
import sys, json
from pathlib import Path
from cluster.dag.metrics import log_metrics
from cluster.tracking.record import open_tracker
store, parent, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
tracker = open_tracker(None, store)
run = tracker.start_attempt(parent, step=name, stage=name, fingerprint=name, attempt="1",
                            settings={"seed": 1}, inputs=[])
file = store / f"{name}.jsonl"
with tracker.mirror(run, file):
    for step in range(300):
        log_metrics(file, {"loss": float(step)}, step=step)
tracker.finish_attempt(run, artifact={}, path=store, status="FINISHED")
print(run)
"""


def test_three_processes_write_one_database(tmp_path):
    tracker = open_tracker(embedded_uri(tmp_path), tmp_path)
    parent = tracker.start_pipeline("full", "smoke", "", {})
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), parent, f"step{i}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(3)
    ]
    runs = [w.communicate(timeout=120)[0].strip() for w in writers]
    assert [w.returncode for w in writers] == [0, 0, 0]
    for i, run in enumerate(runs):
        assert len(tracker.client.get_metric_history(run, f"step{i}/loss")) == 300


def test_database_file_is_refused_on_several_nodes(tmp_path):
    with pytest.raises(TrackingError, match=r"3 nodes.*MLFLOW_TRACKING_URI=http"):
        open_tracker(None, tmp_path, nodes=3)
    assert choose_uri("http://head:5000", tmp_path, 3) == "http://head:5000"


def test_a_server_that_does_not_answer_is_named_at_once(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TrackingError, match=f"no MLflow server answers at http://127.0.0.1:{port}"):
        open_tracker(f"http://127.0.0.1:{port}", tmp_path)


def test_nothing_is_recorded_when_asked_not_to(tmp_path):
    tracker = open_tracker("none", tmp_path)
    assert tracker.start_pipeline("full", "smoke", "", {}) == ""
    assert list(tmp_path.iterdir()) == []


def test_the_environment_names_the_address(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere:5000")
    assert choose_uri(None, tmp_path, 1) == "http://elsewhere:5000"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert choose_uri(None, tmp_path, 1) == address.embedded_uri(tmp_path)


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("pass@1", "pass_at_1"),
        ("loss", "loss"),
        ("a/b.c", "a/b.c"),
        ("/../x", "x"),
        ("ä:b", "__b"),
    ],
)
def test_metric_names(name, clean):
    assert metric_name(name) == clean


def test_client_sees_the_same_experiment(recorded):
    toy, parent, _client = recorded
    fresh = MlflowClient(tracking_uri=embedded_uri(toy.root))
    assert fresh.get_run(parent).info.run_id == parent
