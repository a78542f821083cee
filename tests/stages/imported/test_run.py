"""An external folder becomes an artifact of its own."""

import errno
import json
import os
import shutil

import pytest

from cluster.dag.metrics import read_statistics
from model.checkpoint import load_pretrained
from model.tokens import Tokenizer
from stages.imported.folder import checkpoint_files
from stages.imported.run import FolderChangedError, run_checkpoint, run_tokenizer
from stages.imported.settings import ImportedCheckpointSettings, ImportedTokenizerSettings
from stages.kind_checks import check_checkpoint, check_tokenizer, digest_checkpoint

TRAINED = ImportedCheckpointSettings(steps=3, tokens=24, context_length=8)


def test_files_are_linked_and_survive_the_folder(copied, importing):
    context = importing(copied, TRAINED)
    run_checkpoint(context)
    check_checkpoint(context.output)
    for name in checkpoint_files(context.output):
        file = context.output / name
        assert not file.is_symlink()
        assert name == "training.json" or file.stat().st_nlink == 2
    shutil.rmtree(copied)
    load_pretrained(context.output)
    history = json.loads((context.output / "training.json").read_text())
    assert history == {"steps": 3, "tokens": 24, "context_length": 8, "precision": "float32"}
    record = json.loads((context.output / "import.json").read_text())
    assert record["licence"] == "cwm-license" and record["origin"] == "folder copied"
    found = read_statistics(context.statistics_file)
    assert found["trained_by"] == "settings" and found["tokens"] == 24
    assert found["licence"] == "cwm-license"


def test_files_are_copied_where_links_are_refused(copied, importing, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", refuse)
    context = importing(copied, TRAINED)
    run_checkpoint(context)
    load_pretrained(context.output)
    assert (context.output / "config.json").stat().st_nlink == 1


def test_a_cache_of_links_gives_real_files(external, tmp_path, importing):
    """As `huggingface_hub` keeps them: names that point at blobs."""
    folder = tmp_path / "models--facebook--cwm" / "snapshots" / "abcdef012345"
    folder.mkdir(parents=True)
    for file in external.iterdir():
        (folder / file.name).symlink_to(file)
    context = importing(folder, TRAINED)
    run_checkpoint(context)
    assert not any(file.is_symlink() for file in context.output.iterdir())
    load_pretrained(context.output)
    found = read_statistics(context.statistics_file)
    assert found["origin"] == "facebook/cwm at abcdef012345"


def test_what_the_folder_says_of_its_training_is_kept(copied, importing):
    record = {"steps": 7, "tokens": 70, "context_length": 9, "precision": "bfloat16", "more": 1}
    (copied / "training.json").write_text(json.dumps(record))
    context = importing(copied, TRAINED)
    run_checkpoint(context)
    assert json.loads((context.output / "training.json").read_text()) == record


def test_a_folder_that_changed_since_the_plan_is_refused(copied, importing):
    context = importing(copied, TRAINED)
    (copied / "config.json").write_text((copied / "config.json").read_text() + " ")
    with pytest.raises(FolderChangedError, match=r"config\.json changed since"):
        run_checkpoint(context)


def test_pickles_are_never_taken(copied, importing):
    (copied / "optimizer").mkdir()
    (copied / "optimizer" / "state.pt").write_bytes(b"\x80")
    (copied / "pytorch_model.bin").write_bytes(b"\x80")
    context = importing(copied, TRAINED)
    run_checkpoint(context)
    assert not list(context.output.rglob("*.pt")) and not list(context.output.rglob("*.bin"))


def test_a_tokenizer_gets_the_files_that_it_lacks(copied, importing):
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        (copied / name).unlink()
    context = importing(copied, ImportedTokenizerSettings())
    run_tokenizer(context)
    check_tokenizer(context.output)
    assert Tokenizer.load(context.output).digest == Tokenizer.load(copied).digest
    assert not list(context.output.glob("*.safetensors"))
    assert (
        read_statistics(context.statistics_file)["vocab_size"] == Tokenizer.load(copied).vocab_size
    )


def test_the_digest_does_not_depend_on_how_the_weights_are_cut(copied, tmp_path):
    from model.checkpoint import load_config, load_state_dict, save_pretrained

    whole = tmp_path / "whole"
    save_pretrained((load_config(copied), load_state_dict(copied)), whole, copied)
    assert (whole / "model.safetensors").exists()
    assert digest_checkpoint(whole) == digest_checkpoint(copied)
    (whole / "training.json").write_text("{}")
    trained = digest_checkpoint(whole)
    assert trained != digest_checkpoint(copied)
    (whole / "optimizer").mkdir()
    assert digest_checkpoint(whole) != trained
