"""Walking a hand-made store from a number to the files, without and with MLflow."""

import json

import pytest

from cluster.tracking.address import embedded_uri
from cluster.tracking.lineage import find, main
from cluster.tracking.record import open_tracker
from cluster.tracking.walk import LineageError, Store
from tests.cluster.tracking.toy import DOCUMENTS_ROWS, build_chain, build_models, record_cached


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return build_chain(tmp_path_factory.mktemp("store"))[0]


def walked(toy, capsys, target, *options):
    assert main([target, "--store", str(toy.root), "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_from_a_metric_to_the_files(toy, capsys):
    result = walked(toy, capsys, "traces.changed_state")
    assert result["metric"]["value"] == 0.4375  # the newest evaluation's
    steps = [a["step"] for a in result["artifacts"]]
    assert steps[:2] == ["evaluate.midtrain", "midtrain"]
    assert {"pretrain", "tokenize.code", "curate", "crawl", "trace", "forage"} <= set(steps)
    assert len(steps) == len(set(steps))
    files = {f["path"]: f for f in result["files"]}
    assert set(files) == {row["path"] for row in DOCUMENTS_ROWS}
    assert files["bisect.py"]["uses"] == ["measured on"]  # held out
    assert "code" in files["attr/a.py"]["uses"] and "traced" in files["attr/a.py"]["uses"]
    for row in DOCUMENTS_ROWS:
        found = files[row["path"]]
        assert found["bytes"] == len(row["text"])
        assert found["swhid"] == f"swh:1:cnt:{row['blob']}"
        for column in ("origin", "revision", "licence", "sha256"):
            assert found[column] == row[column]
    origins = {o["origin"]: o for o in result["origins"]}
    assert origins["attrs"]["files"] == 2 and origins["python"]["licence"] == "PSF-2.0"


def test_held_out_files_are_not_behind_a_checkpoint(toy, capsys):
    paths = [f["path"] for f in walked(toy, capsys, "midtrain")["files"]]
    assert paths == ["attr/a.py", "attr/b.py"]


def test_tasks_and_crawl_name_their_own_files(toy, capsys):
    assert [f["path"] for f in walked(toy, capsys, "tasks")["files"]] == ["bisect.py"]
    assert len(walked(toy, capsys, "crawl")["files"]) == 3


@pytest.mark.parametrize("name", ["fingerprint", "content_digest", "attempt"])
def test_from_the_beginning_of_an_identifier(toy, name):
    store = Store(toy.root)
    node, metric = find(store, toy.records["pretrain"][name][:10])
    assert (node.step, metric) == ("pretrain", None)


def test_from_a_path_and_from_a_file_in_it(toy):
    store = Store(toy.root)
    place = toy.paths["midtrain"]
    current = place.parent / "current"
    for target in (place, place / "model.safetensors", place.relative_to(toy.root), current):
        assert find(store, str(target))[0].path == place.resolve()


def test_unknown_target_lists_what_there_is(toy, capsys):
    assert main(["traces.nothing", "--store", str(toy.root)]) == 1
    message = capsys.readouterr().err
    assert "traces.changed_state" in message and "evaluate.midtrain" in message


def test_no_store_is_named(tmp_path, capsys):
    assert main(["crawl", "--store", str(tmp_path / "none")]) == 1
    assert "there is no store" in capsys.readouterr().err


def test_a_missing_input_is_named(tmp_path):
    toy, _ = build_chain(tmp_path)
    (toy.paths["curate"] / "artifact.json").unlink()
    with pytest.raises(LineageError, match="curate"):
        find(Store(tmp_path), "midtrain")


def test_the_tree_and_the_files_are_printed(toy, capsys):
    assert main(["output.direct", "--store", str(toy.root)]) == 0
    text = capsys.readouterr().out
    assert "output.direct = 0.101" in text
    assert "3 files of 2 origins" in text and "PSF-2.0" in text
    assert str(toy.paths["crawl"]) in text
    assert main(["output.direct", "--store", str(toy.root), "--files"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and all("swh:1:cnt:" in line for line in lines)


def test_from_runs_of_mlflow(tmp_path, capsys):
    toy, _ = build_chain(tmp_path, open_tracker(embedded_uri(tmp_path), tmp_path))
    tracked = walked(toy, capsys, toy.records["pretrain"]["run_id"])
    assert tracked["artifacts"][0]["step"] == "pretrain"
    parent = record_cached(toy, *toy.records)
    assert walked(toy, capsys, parent)["artifacts"][0]["step"] == "evaluate.midtrain"
    client = toy.tracker.client
    cached = client.search_runs(
        [toy.tracker.experiment],
        filter_string=f"tags.`mlflow.parentRunId` = '{parent}' AND tags.`cwm.step` = 'pretrain'",
    )[0]
    assert walked(toy, capsys, cached.info.run_id)["artifacts"][0]["step"] == "pretrain"
    assert main(["pretrain", "--store", str(tmp_path)]) == 0
    assert toy.records["crawl"]["run_id"] in capsys.readouterr().out


def test_the_newest_attempt_answers(tmp_path):
    toy, _ = build_chain(tmp_path)
    first = toy.paths["midtrain"]
    build_models(toy, "", learning_rate=0.5, salt="again")
    assert find(Store(tmp_path), "midtrain")[0].path == toy.paths["midtrain"].resolve()
    assert find(Store(tmp_path), str(first))[0].path == first.resolve()
