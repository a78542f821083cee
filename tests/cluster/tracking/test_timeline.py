"""Where the time of steps went: read, drawn, and recorded along with the use of the machine."""

import json
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cluster.dag.metrics import log_metrics
from cluster.tracking.address import embedded_uri
from cluster.tracking.record import open_tracker
from cluster.tracking.system_metrics import system_metrics
from cluster.tracking.timeline import read_timeline
from cluster.tracking.timeline_figure import timeline_figure


@pytest.fixture
def metrics(tmp_path):
    """A step's metrics: 40 steps, 4 a line; the line of step 20 was written twice."""
    file = tmp_path / "metrics.jsonl"
    for step in (*range(4, 24, 4), *range(20, 44, 4)):
        phases = {"seconds.data": 0.1, "seconds.forward": 1.0, "seconds.backward": 2.0}
        log_metrics(file, {"loss": 1.0, **phases}, step=step)
    log_metrics(file, {"validation_loss": 1.0}, step=40)
    return file


def test_phases_add_up_and_a_repeated_step_counts_once(metrics):
    found = read_timeline(metrics)
    assert found.steps == list(range(4, 44, 4))
    numbers = found.numbers()
    assert numbers["steps"] == 40
    assert numbers["seconds"] == pytest.approx(31.0)
    assert numbers["phases"]["backward"] == pytest.approx(
        {"seconds": 20.0, "per_step": 0.5, "share": 20 / 31}
    )


def test_what_comes_after_the_last_step_is_added(metrics):
    log_metrics(metrics, {"seconds.data": 0.5}, step=40)
    phases = read_timeline(metrics).numbers()["phases"]
    assert phases["data"]["seconds"] == pytest.approx(1.5)
    assert phases["backward"]["seconds"] == pytest.approx(20.0)


def test_a_resume_takes_back_what_is_made_again(metrics):
    phases = {"seconds.data": 0.1, "seconds.forward": 1.0, "seconds.backward": 2.0}
    log_metrics(metrics, phases, step=30)
    assert read_timeline(metrics).steps == [*range(4, 30, 4), 30]


def test_a_step_without_phases_has_no_timeline(tmp_path):
    assert read_timeline(tmp_path / "metrics.jsonl") is None
    log_metrics(tmp_path / "metrics.jsonl", {"loss": 1.0}, step=1)
    assert read_timeline(tmp_path / "metrics.jsonl") is None


def test_the_figure_is_svg_and_the_same_each_time(metrics):
    found = read_timeline(metrics)
    svg = timeline_figure({"pretrain": found, "sft": found})
    assert svg == timeline_figure({"pretrain": found, "sft": found})
    assert ElementTree.fromstring(svg).tag.endswith("svg")


def test_many_lines_are_drawn_as_fewer_columns(tmp_path):
    file = tmp_path / "metrics.jsonl"
    for step in range(1, 1002):
        log_metrics(file, {"seconds.forward": 1.0}, step=step)
    assert len(timeline_figure({"pretrain": read_timeline(file)})) < 100_000


def test_timeline_and_use_of_the_machine_are_in_the_run(tmp_path, metrics):
    tracker = open_tracker(embedded_uri(tmp_path), tmp_path)
    parent = tracker.start_pipeline("full", "smoke", "", {})
    run = tracker.start_attempt(
        parent, step="sft", stage="sft", fingerprint="f", attempt="a", settings={}, inputs=[]
    )
    with tracker.mirror(run, metrics), system_metrics(run, tracker.uri, interval=0.05):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if "system/cpu_utilization_percentage" in tracker.client.get_run(run).data.metrics:
                break
            time.sleep(0.1)
    tracker.finish_attempt(run, artifact={"step": "sft"}, path=tmp_path, status="FAILED")
    recorded = tracker.client.get_run(run).data.metrics
    assert 0 <= recorded["system/cpu_utilization_percentage"] <= 100
    assert recorded["system/system_memory_usage_megabytes"] > 0
    assert recorded["sft/seconds.backward"] == 2.0
    names = {file.path for file in tracker.client.list_artifacts(run)}
    assert {"timeline.svg", "timeline.json"} <= names
    file = tracker.client.download_artifacts(run, "timeline.json", str(tmp_path))
    assert json.loads(Path(file).read_text())["steps"] == 40
