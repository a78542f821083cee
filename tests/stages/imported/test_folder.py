"""What is read of a folder: which files count, where it is from, under which licence."""

import json

import pytest

from cluster.dag.decision import Decider
from cluster.dag.step import Step
from cluster.dag.store import Store
from stages.imported import CHECKPOINT_STAGE
from stages.imported.digests import file_digests
from stages.imported.folder import checkpoint_files, estimate, licence, origin, snapshot
from stages.imported.settings import ImportedCheckpointSettings, ImportPlacement

SETTINGS = ImportedCheckpointSettings()


def place(folder):
    return ImportPlacement(folder=str(folder))


def fingerprint(folder, store):
    step = Step("pretrain", CHECKPOINT_STAGE, SETTINGS, place(folder))
    return Decider(Store(store), "p", verify=False).identify(step, {}).fingerprint


def test_the_content_is_the_identity_not_the_path(external, copied, tmp_path):
    assert fingerprint(copied, tmp_path) == fingerprint(external, tmp_path)
    (copied / "notes.txt").write_text("nobody takes this")
    (copied / "optimizer").mkdir()
    assert fingerprint(copied, tmp_path) == fingerprint(external, tmp_path)
    shard = next(copied.glob("*.safetensors"))
    body = bytearray(shard.read_bytes())
    body[-1] ^= 1
    shard.write_bytes(bytes(body))
    assert fingerprint(copied, tmp_path) != fingerprint(external, tmp_path)


def test_files_that_count(external):
    names = checkpoint_files(external)
    assert {"config.json", "tokenizer.json", "README.md"} <= set(names)
    assert sum(name.endswith(".safetensors") for name in names) == 3
    assert set(snapshot(SETTINGS, place(external))["files"]) == set(names)
    found = estimate(SETTINGS, place(external))
    assert found["licence"] == "cwm-license"
    assert found["disk bytes"] == sum((external / name).stat().st_size for name in names)


def test_digests_are_those_of_the_bytes(external):
    import hashlib

    names = checkpoint_files(external)
    expected = {n: hashlib.sha256((external / n).read_bytes()).hexdigest() for n in names}
    assert file_digests(external, names) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "unknown"),
        ({"README.md": "---\nlicense: apache-2.0\n---\n"}, "apache-2.0"),
        ({"README.md": "---\nlicense: other\n---\n"}, "other"),
        ({"README.md": "---\nlicense: other\nlicense_name: fair\n---\n"}, "fair"),
        ({"README.md": "---\nlicense: [unclosed\n---\n"}, "unknown"),
        ({"README.md": "# no front matter\nlicense: mit\n"}, "unknown"),
        ({"LICENSE": "\n  MIT License\nmore"}, "LICENSE: MIT License"),
        ({"LICENSE.txt": ""}, "LICENSE.txt: empty"),
        ({"README.md": "---\nlicense: mit\n---\n", "LICENSE": "Other"}, "mit"),
    ],
)
def test_licence(files, expected, tmp_path):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert licence(tmp_path) == expected


def test_origin(tmp_path):
    folder = tmp_path / "models--facebook--cwm-pretrain" / "snapshots" / "0123456789abcdef"
    folder.mkdir(parents=True)
    assert origin(folder) == "facebook/cwm-pretrain at 0123456789ab"
    plain = tmp_path / "mine"
    plain.mkdir()
    assert origin(plain) == "folder mine"
    (plain / "artifact.json").write_text(json.dumps({"step": "sft", "fingerprint": "f" * 64}))
    assert origin(plain) == "sft ffffffffffff, made by this pipeline"
    (plain / "config.json").write_text(json.dumps({"_name_or_path": "/home/someone/model"}))
    assert origin(plain).startswith("sft")
    (plain / "config.json").write_text(json.dumps({"_name_or_path": "facebook/cwm"}))
    assert origin(plain) == "facebook/cwm"
