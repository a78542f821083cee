"""The whole curation of a small table, its statistics, and an empty corpus."""

import hashlib
import random

import pytest

from cluster.dag.metrics import read_statistics
from cluster.dag.stage import Input, StepContext
from stages.curate.run import EmptyCorpusError, run
from stages.curate.settings import CuratePlacement, CurateSettings
from stages.kind_checks import check_corpus, digest_splits
from stages.tables import DOCUMENTS, read_table, write_table

SETTINGS = CurateSettings(min_bytes=10, heldout_fraction=0.3)
MULTI = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")


def program(seed, lines=60):
    rng = random.Random(seed)
    return "".join(f"name_{rng.randrange(999)} = {rng.randrange(9999)}\n" for _ in range(lines))


def row(path, text, origin="one"):
    return {
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "blob": "0" * 40,
        "text": text,
        "language": "python",
        "source": "installed",
        "origin": origin,
        "revision": "1.0",
        "path": path,
        "licence": "MIT",
        "licence_method": "classifier",
        "fetched_at": "2026-01-01T00:00:00+00:00",
    }


def curate(folder, rows, settings=SETTINGS, options=(), shard_rows=7):
    write_table(folder / "in" / "documents", DOCUMENTS, rows, shard_rows=shard_rows)
    output = folder / "out"
    output.mkdir()
    context = StepContext(
        step="curate",
        settings=settings,
        placement=CuratePlacement(options=options),
        inputs={"documents": Input(path=folder / "in", kind="documents", digest="")},
        output=output,
        scratch=folder,
    )
    run(context)
    check_corpus(output)
    return context


@pytest.fixture
def rows():
    distinct = [row(f"p{i:02}.py", program(i)) for i in range(25)]
    near = row("near.py", program(0) + "name_end = 1\n")
    return [*distinct, row("copy.py", program(1)), near, row("broken.py", "def broken(:\n" * 9)]


def test_every_document_is_kept_once_or_dropped_with_its_reason(tmp_path, rows):
    context = curate(tmp_path, rows)
    kept = [r for s in ("train", "heldout") for r in read_table(context.output / s)]
    dropped = {r["path"]: r for r in read_table(context.output / "dropped")}
    assert len(kept) + len(dropped) == len(rows)
    assert {p: r["reason"] for p, r in dropped.items()} == {
        "p01.py": "duplicate",  # "copy.py" has the smaller name
        "p00.py": "near-duplicate",  # "near.py" is longer
        "broken.py": "syntax-error",
    }
    assert "one:copy.py" in dropped["p01.py"]["detail"]
    near = next(r for r in kept if r["path"] == "near.py")
    assert dropped["p00.py"]["detail"] == f"like one:near.py (sha256 {near['sha256']})"
    found = read_statistics(context.statistics_file)
    assert (found["documents_in"], found["documents"]) == (28, 25)
    assert found["bytes_in"] == sum(len(r["text"]) for r in rows)
    assert found["origins"]["one"]["documents"] == 25
    assert found["documents_train"] > found["documents_heldout"] > 0


def test_shards_and_workers_do_not_change_the_result(tmp_path, rows):
    digests = set()
    for name, shard_rows, options in (("a", 7, ()), ("b", 100, ()), ("c", 3, MULTI)):
        (tmp_path / name).mkdir()
        context = curate(tmp_path / name, rows, options=options, shard_rows=shard_rows)
        digests.add(digest_splits(context.output))
    assert len(digests) == 1


def test_related_files_stay_on_one_side(tmp_path):
    rows = []
    for i in range(12):  # pairs that share 85 % of their lines: related, not duplicates
        shared = program(i, 85)
        rows += [row(f"{i}{k}.py", shared + program(f"{i}{k}", 15)) for k in "ab"]
    settings = CurateSettings(
        min_bytes=10, heldout_fraction=0.5, duplicate_similarity=0.95, related_similarity=0.5
    )
    context = curate(tmp_path, rows, settings)
    sides = {r["path"]: s for s in ("train", "heldout") for r in read_table(context.output / s)}
    assert len(sides) == len(rows)
    assert set(sides.values()) == {"train", "heldout"}
    assert all(sides[f"{i}a.py"] == sides[f"{i}b.py"] for i in range(12))


def test_an_empty_corpus_is_a_named_error_that_tells_the_funnel(tmp_path):
    rows = [row("a.py", "def broken(:\n" * 9), row("b.py", "x = 1\n")]
    with pytest.raises(EmptyCorpusError, match=r"2 came in.*syntax-error 1, too-small 1"):
        curate(tmp_path, rows)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="bands=7"):
        CurateSettings(bands=7)
    with pytest.raises(ValueError, match="heldout_fraction=0"):
        CurateSettings(heldout_fraction=0)
    with pytest.raises(ValueError, match="duplicate_similarity"):
        CurateSettings(duplicate_similarity=0.5)
