"""What one run of the pipeline trained, imported into another run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cluster.tracking.lineage import as_json, find
from cluster.tracking.walk import Store
from tests.pipelines.test_smoke import latest, record, run


@pytest.fixture(scope="module")
def exported(smoke_store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkpoints as somebody else would get them: without optimizer, record and history."""
    folder = tmp_path_factory.mktemp("exported")
    names = shutil.ignore_patterns("optimizer", "artifact.json", "training.json", "*.jsonl")
    for step in ("pretrain", "sft"):
        shutil.copytree(latest(smoke_store)[step], folder / step, ignore=names)
        (folder / step / "LICENSE").write_text("Apache License\n")
    return {step: folder / step for step in ("pretrain", "sft")}


@pytest.fixture(scope="module")
def store(smoke_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the store, whose latest steps other tests look at."""
    return shutil.copytree(smoke_store, tmp_path_factory.mktemp("imported") / "s", symlinks=True)


def test_midtraining_goes_on_from_an_imported_checkpoint(store, exported):
    done = run(
        store,
        f"--import=pretrain={exported['pretrain']}",
        "--until=midtrain",
        "midtrain.steps=2",
        "--executor=local",
        "--tracking=none",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "by the settings of pretrain" in done.stdout
    at = latest(store)
    assert at["pretrain"].parent.parent.name == "imported_checkpoint"
    # the tokenizer came along; data was made with it already, so nothing is made again
    assert at["tokenizer"].parent.parent.name == "imported_tokenizer"
    assert record(at["tokenize.code"])["inputs"]["tokenizer"]["stage"] == "tokenizer"
    found = record(at["midtrain"])
    assert found["statistics"]["optimizer"] == "new"
    assert "goes on with a new optimizer" in (at["midtrain"] / "log.txt").read_text()
    history = json.loads((at["midtrain"] / "training.json").read_text())
    assert history["steps"] == 12 + 2  # pre-training's settings, and its own
    node, _ = find(Store(store), "midtrain")
    walked = {a["step"]: a["imported"] for a in as_json("midtrain", node, None, [])["artifacts"]}
    assert walked["pretrain"] == {"origin": "folder pretrain", "licence": "LICENSE: Apache License"}


def test_an_imported_fine_tuned_checkpoint_is_evaluated_without_training(store, exported):
    options = (f"--import=sft={exported['sft']}", "--until=evaluate.sft")
    done = run(store, *options, "--plan", "--json")
    steps = {row["step"]: row for row in json.loads(done.stdout)["steps"]}
    assert {"pretrain", "midtrain", "tokenizer"}.isdisjoint(steps)
    assert steps["sft"]["action"] == "run"
    assert steps["sft"]["estimate"]["licence"] == "LICENSE: Apache License"
    done = run(store, *options, "--executor=local", "--tracking=none")
    assert done.returncode == 0, done.stdout + done.stderr
    # it is the checkpoint that this pipeline trained: its evaluation is there already
    assert "evaluate.sft  cached" in done.stdout
