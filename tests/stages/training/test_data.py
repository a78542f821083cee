"""Opening a stage's data, naming what was taken, and the command that shows both."""

import json
from dataclasses import replace

import pytest

from model.tokens import Tokenizer
from stages.pretrain.settings import PretrainSettings
from stages.training.data import cursor_at, main, open_rows, pieces_taken, planned_epochs
from stages.training.mix import MixError
from stages.training.rows import Cursor
from stages.training.settings import LengthBucket, MixEntry, MixGroup
from stages.training.source import EmptySourceError
from stages.training.token_file import TokenFileError, TokenWriter
from tests.stages.training.conftest import SMALL

GROUPS = (MixGroup(name="world", weight=0.4), MixGroup(name="rehearsal", weight=0.6))
MIX = (
    MixEntry(dataset="traces", group="world", weight=1, long="drop"),
    MixEntry(dataset="prose", group="world", epochs=2),
    MixEntry(dataset="code", group="rehearsal", weight=1),
)
SETTINGS = PretrainSettings(
    mix=MIX,
    groups=GROUPS,
    buckets=(LengthBucket(up_to=20, reach=8), LengthBucket(up_to=64)),
    steps=1500,
    rows_per_step=4,
    **SMALL,
)


@pytest.fixture
def folders(write_tokens):
    return {
        "traces": write_tokens("traces", [5 + i % 90 for i in range(300)], seed=1).folder,
        "prose": write_tokens("prose", [9 + i % 50 for i in range(90)], seed=2).folder,
        "code": write_tokens("code", [300, 20, 40, 7] * 20, seed=3).folder,
    }


def test_target_epochs_are_reached(folders):
    rows = open_rows(SETTINGS, folders)
    planned = planned_epochs(SETTINGS, rows)
    assert planned["prose"] == pytest.approx(2, rel=0.002)
    seen = rows.seen(cursor_at(rows, SETTINGS.steps, SETTINGS.rows_per_step))
    assert {name: part.epochs for name, part in seen.items()} == pytest.approx(planned, rel=0.03)
    total = sum(part.tokens for part in seen.values())
    assert seen["code"].tokens / total == pytest.approx(0.6, rel=0.03)
    assert (seen["prose"].tokens + seen["traces"].tokens) / total == pytest.approx(0.4, rel=0.03)


def test_target_epochs_that_do_not_fit(folders):
    with pytest.raises(MixError, match=r"group 'world' has 0\.4"):
        open_rows(replace(SETTINGS, steps=50), folders)


def test_a_data_set_in_two_groups_is_one_source(folders):
    mix = (*MIX, MixEntry(dataset="code", group="world", epochs=0.1))
    rows = open_rows(replace(SETTINGS, mix=mix), folders)
    assert [source.name for source in rows.sources] == ["traces", "prose", "code"]
    assert rows.shares[2] > 0.6


def test_pieces_between_two_cursors(folders):
    rows, steps = open_rows(SETTINGS, folders), SETTINGS.rows_per_step
    middle, end = cursor_at(rows, 40, steps), cursor_at(rows, 130, steps)
    whole = pieces_taken(rows, Cursor(), end, steps)
    first = pieces_taken(rows, Cursor(), middle, steps)
    second = pieces_taken(rows, middle, end, steps)
    assert first + second == whole
    _, key, start = next(piece for piece in whole if piece[0] == "code")
    assert key == f"code{rows.files[2].document_at(start)}"
    with pytest.raises(ValueError, match=r"90 steps from .* end at .*, not"):
        pieces_taken(rows, middle, replace(end, places=((0, 0), (0, 1))), steps)


def test_errors_name_the_data_set(folders):
    with pytest.raises(EmptySourceError, match="'traces'"):
        open_rows(replace(SETTINGS, context_length=4, buckets=()), folders)
    (folders["code"] / "tokens.bin").write_bytes(b"")
    with pytest.raises(TokenFileError, match=r"code is torn: tokens\.bin has 0 tokens"):
        open_rows(SETTINGS, folders)


@pytest.fixture
def store(tmp_path, tokenizer_folder):
    """A store with what the command reads: settings, and where artifacts lie."""
    tokenizer = Tokenizer.load(tokenizer_folder)
    for folder in ("code", "code/heldout"):
        writer = TokenWriter(tmp_path / "tokenize" / folder)
        for number in range(300):
            ids = tokenizer.encode(f"def f{number}(): return [bold]{number}")
            writer.add(ids, [0] * 5 + [255] * (len(ids) - 5), f"key[{number}]")
        writer.close({"vocab_size": tokenizer.vocab_size})
    (tmp_path / "tokenizer").symlink_to(tokenizer_folder)
    stage = {
        "mix": [{"dataset": "code", "weight": 1.0, "group": "all"}],
        "groups": [{"name": "all", "weight": 1.0}],
        "buckets": [{"up_to": 64, "reach": 32}],
        "steps": 1000,
        "context_length": 64,
        "row_tokens": 64,
        "learning_rate": 1,
    }
    folder = tmp_path / "pipelines" / "full.tiny"
    folder.mkdir(parents=True)
    config = {"steps": {name: {"settings": stage} for name in ("pretrain", "midtrain", "sft")}}
    (folder / "config.json").write_text(json.dumps(config))
    latest = {"tokenize.code": "tokenize/code", "tokenizer": "tokenizer"}
    (folder / "latest.json").write_text(json.dumps(latest))
    return tmp_path


def test_the_mix_is_shown(store, capsys):
    assert main(["--show", "--store", str(store)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("code 100.0% (weight 1)") == 3
    assert "all 100.0%" in shown
    assert "epochs" in shown
    assert "more than 4" in shown
    assert "1 to 64" in shown


def test_a_step_is_shown(store, capsys):
    assert main(["--stage", "sft", "--step", "7", "--store", str(store)]) == 0
    shown = capsys.readouterr().out
    assert "step 7, row 1" in shown
    assert "global layers reach 32 tokens" in shown
    assert "code key[" in shown
    assert "(): return [bold]" in shown


def test_verify(store, capsys):
    assert main(["--verify", "--stage", "sft", "--store", str(store)]) == 0
    assert capsys.readouterr().out.count("300 documents as they were written") == 2
    file = store / "tokenize" / "code" / "heldout" / "loss.bin"
    file.write_bytes(b"\0" + file.read_bytes()[1:-1] + b"\1")
    assert main(["--verify", "--stage", "sft", "--store", str(store)]) == 1
    assert "loss.bin is damaged" in capsys.readouterr().out.replace("\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pipeline", "full.other"], "there is no"),
        (["--stage", "rl"], "no step 'rl'"),
        (["--step", "-1"], "the first is 0"),
        (["--store", "/nowhere"], "/nowhere holds no pipeline"),
    ],
)
def test_what_is_not_there(store, capsys, arguments, message):
    assert main(["--store", str(store), *arguments]) == 1
    assert message in capsys.readouterr().out.replace("\n", " ")


def test_a_data_set_that_was_not_made_yet(store, capsys):
    (store / "pipelines" / "full.tiny" / "latest.json").write_text("{}")
    assert main(["--store", str(store)]) == 1
    assert "no artifact of tokenize.code, tokenizer yet" in capsys.readouterr().out.replace(
        "\n", " "
    )
