"""The whole pipeline, run once as a submitted job; every test here looks at that one store."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.presets import PRESETS
from stages.tables import read_table

ROOT = Path(__file__).parents[2]
STEPS = [step.name for step in PRESETS["smoke"]().steps]


def latest(store: Path) -> dict[str, Path]:
    """Each step's newest artifact."""
    found = json.loads((store / "pipelines" / "full.smoke" / "latest.json").read_text())
    return {step: store / path for step, path in found.items()}


def record(artifact: Path) -> dict:
    return json.loads((artifact / "artifact.json").read_text())


def run(store: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "CWM_"))}
    command = [sys.executable, "pipelines/full.py", "--preset", "smoke", "--store", str(store)]
    return subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def plan(store: Path, *arguments: str) -> dict[str, str]:
    """What each step would do."""
    done = run(store, "--plan", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return {step["step"]: step["action"] for step in json.loads(done.stdout)["steps"]}


def test_every_step_ran_in_the_job(smoke_run, smoke_store):
    assert "preset smoke (--preset)" in smoke_run.output
    artifacts = latest(smoke_store)
    assert sorted(artifacts) == sorted(STEPS)
    for step in STEPS:
        # two evaluations of equal checkpoints are one artifact, made once
        assert f"{step} | done" in smoke_run.output or step.startswith("evaluate.")
    assert "metrics per checkpoint" in smoke_run.output
    assert "traces.changed_state" in smoke_run.output
    assert "truth" in smoke_run.output


def test_nothing_is_written_into_the_jobs_working_directory(smoke_run, smoke_store):
    copies = list(
        smoke_run.folder.glob("session_2*/runtime_resources/working_dir_files/_ray_pkg_*/")
    )
    assert copies
    for copy in copies:
        strangers = {
            path.name
            for path in copy.iterdir()
            if not (ROOT / path.name).exists() and path.name != "__pycache__"
        }
        assert not strangers
        assert not (copy / "runs").exists()
        assert not (copy / "mlruns").exists()


def test_a_second_run_as_an_executable_finds_everything(smoke_run, smoke_store):
    before = latest(smoke_store)
    done = smoke_run.head.submit("pipelines/full.py", "--preset", "smoke", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert latest(smoke_store) == before
    assert " attempt " not in done.stdout


def test_workers_of_pretraining_share_the_batch(smoke_store):
    statistics = record(latest(smoke_store)["pretrain"])["statistics"]
    assert statistics["workers"] == 2
    assert statistics["tokens"] == statistics["steps"] * 2 * 256


def test_a_changed_setting_reaches_what_follows_it(smoke_store):
    actions = plan(smoke_store, "midtrain.steps=25")
    assert actions["midtrain"] == "run"
    cached = {step for step, action in actions.items() if action == "cached"}
    assert cached == set(STEPS) - {
        "midtrain",
        "sft",
        "rl",
        "evaluate.midtrain",
        "evaluate.sft",
        "evaluate.rl",
        "report",
    }


def test_a_change_that_yields_the_same_bytes_stops_there(smoke_store):
    """The tokenizer is measured on other data, but is the same tokenizer: early cutoff."""
    before = latest(smoke_store)
    done = run(smoke_store, "tokenizer.measure_bytes=60000", "--executor", "local")
    assert done.returncode == 0, done.stdout + done.stderr
    after = latest(smoke_store)
    moved = {step for step in STEPS if before[step] != after[step]}
    assert moved == {"tokenizer"}


def test_a_typo_is_a_usage_error_with_a_suggestion(smoke_store):
    done = run(smoke_store, "midtrain.stesp=5")
    assert done.returncode == 2
    assert "Perhaps you meant" in done.stderr
    assert "midtrain.steps" in done.stderr


@pytest.mark.parametrize("step", ["evaluate.pretrain", "evaluate.rl"])
def test_results_have_sizes_and_errors(smoke_store, step):
    results = json.loads((latest(smoke_store)[step] / "results.json").read_text())
    names = {metric["name"] for metric in results["metrics"]}
    assert {"code.bits_per_byte", "traces.state", "traces.changed_state", "output.direct"} <= names
    for metric in results["metrics"]:
        assert metric["n"] > 0
        assert math.isfinite(metric["value"])
        # a single item has no error: the few held-out functions of so small a corpus are split up
        assert (metric["se"] is None and ".function" in metric["name"]) or metric["se"] >= 0


def test_transformers_loads_the_checkpoint_with_equal_logits(smoke_store):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from model.checkpoint import load_pretrained
    from model.packing import Packing

    folder = latest(smoke_store)["rl"]
    theirs, ours = AutoModelForCausalLM.from_pretrained(folder), load_pretrained(folder)
    ids = AutoTokenizer.from_pretrained(folder)("def f(a):\n    return a + 1\n").input_ids
    with torch.no_grad():
        expected = theirs(torch.tensor([ids]), use_cache=False).logits[0]
        found = ours(torch.tensor(ids), Packing.of([len(ids)]))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_held_out_programs_differ_after_renaming_variables(smoke_store):
    from model.trace import unmark
    from stages.trace.programs import shape

    folder = latest(smoke_store)["trace"]
    shapes = {
        split: {
            shape(unmark(row["context"]))
            for row in read_table(folder / split, ["context", "source"])
            if row["source"] == "program"
        }
        for split in ("train", "heldout")
    }
    assert shapes["train"]
    assert shapes["heldout"]
    assert not shapes["train"] & shapes["heldout"]


def test_held_out_functions_come_from_held_out_documents(smoke_store):

    artifacts = latest(smoke_store)
    documents = {
        split: {row["sha256"] for row in read_table(artifacts["curate"] / split, ["sha256"])}
        for split in ("train", "heldout")
    }
    assert not documents["train"] & documents["heldout"]
    for stage in ("trace", "forage"):
        for split in ("train", "heldout"):
            rows = read_table(artifacts[stage] / split, ["document"])
            assert {row["document"] for row in rows} - {""} <= documents[split]


def test_a_score_walks_back_to_files_and_licences(smoke_store):
    tree, files = (lineage(smoke_store, *options) for options in ((), ("--files",)))
    for step in ("evaluate.", "midtrain", "pretrain", "curate", "crawl"):
        assert step in tree
    assert "cpython" in tree
    assert "Python-2.0.1" in files
    document = next(read_table(latest(smoke_store)["curate"] / "train"))
    line = next(line for line in files.splitlines() if line.startswith(document["sha256"]))
    for field in ("blob", "origin", "revision", "licence", "path"):
        assert document[field] in line


def lineage(store: Path, *options: str) -> str:
    """What the walk back from a metric prints."""
    command = [sys.executable, "-m", "cluster.tracking.lineage", "traces.changed_state"]
    done = subprocess.run(
        [*command, "--store", str(store), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_report_is_one_page_with_the_numbers(smoke_store):
    artifacts = latest(smoke_store)
    page = (artifacts["report"] / "index.html").read_text()
    results = json.loads((artifacts["evaluate.midtrain"] / "results.json").read_text())
    value = next(m["value"] for m in results["metrics"] if m["name"] == "code.bits_per_byte")
    assert f"{value:.3f}" in page
    assert "near-duplicate" in page
    assert 'src="http' not in page
