"""The tokenize stage: token files, their order, counts and provenance."""

import random
from importlib import import_module

import pytest

from cluster.dag.metrics import read_statistics
from cluster.dag.stage import resolve
from model.trace import parse
from stages import tokenize
from stages import tokenizer as tokenizer_stage
from stages.kind_checks import check_tokens, digest_tokens
from stages.tokenize.settings import TokenizeSettings
from stages.tokenize.source import SOURCES, WrongSourceError
from stages.training.token_file import TokenFile
from tests.stages.rows import document_row, program_row, write_corpus, write_traces

TEXTS = [f"def f{n}(a):\n    return a + {n}\n" * (1 + n % 5) for n in range(150)]


def test_code_becomes_a_token_file_with_its_provenance(step, tokenizer, tmp_path):
    folder = write_corpus(tmp_path / "corpus", TEXTS, ["x = 1\n", "y = 2\n", "z = 3\n"])
    context = step(folder, "corpus", heldout_rows=2)
    check_tokens(context.output)
    file, heldout = TokenFile(context.output), TokenFile(context.output / "heldout")
    by_key = {document_row(text)["sha256"]: text for text in TEXTS}
    assert file.keys == sorted(by_key)
    for (ids, _), key in zip(file, file.keys, strict=True):
        assert tokenizer.decode(ids.tolist(), skip_specials=True) == by_key[key]
    assert file.meta["bytes"] == sum(len(text) for text in TEXTS)
    assert file.meta["rendering"] == "code" and file.meta["vocab_size"] == tokenizer.vocab_size
    assert len(heldout) == 2
    found = read_statistics(context.statistics_file)
    assert found["documents"] == found["rows"] == found["stdlib.rows"] == 150
    assert found["tokens"] == file.meta["tokens"] and found["heldout.documents"] == 2
    assert file.meta["origins"]["cpython"]["tokens"] == found["tokens"]
    assert 0 < found["fit"] <= 150 and found["origins"] == 1


def test_the_order_of_rows_does_not_change_the_tokens(step, tmp_path):
    shuffled = random.Random(0).sample(TEXTS, len(TEXTS))
    first = step(write_corpus(tmp_path / "a", TEXTS, TEXTS[:9]), "corpus", "one")
    second = step(write_corpus(tmp_path / "b", shuffled, TEXTS[8::-1]), "corpus", "two")
    assert digest_tokens(first.output) == digest_tokens(second.output)
    assert digest_tokens(first.output / "heldout") == digest_tokens(second.output / "heldout")


def test_traces_are_counted_by_source_and_origin(step, tokenizer, tmp_path):
    rows = [program_row(a, a + 3) for a in range(5)]
    rows += [program_row(a, a + 12, 2, source="function", origin="boltons") for a in range(4)]
    rows += [program_row(context="x = 1\n" * 400, origin="toolz", source="function")]
    folder = write_traces(tmp_path / "traces", rows, rows[:2])
    context = step(folder, "traces", rendering="traces", max_tokens=300)
    file, found = TokenFile(context.output), read_statistics(context.statistics_file)
    assert found["rows"] == 10 and found["used"] == 9
    assert found["program.documents"] == found["program.fit"] >= 5
    assert found["function.documents"] > found["function.used"] == 4
    assert found["dropped.context-too-long"] == 1 and found["origins"] == 2
    assert set(file.keys) == {row["key"] for row in rows[:9]}
    assert file.meta["origins"]["boltons"]["documents"] == found["function.documents"]
    for ids, _ in file:
        assert parse(ids.tolist(), tokenizer).error is None


def test_an_empty_split_gives_an_empty_file(step, tmp_path):
    context = step(write_corpus(tmp_path / "corpus", TEXTS[:3]), "corpus")
    assert len(TokenFile(context.output / "heldout")) == 0


def test_a_rendering_refuses_another_kind_of_source(step, tmp_path):
    folder = write_corpus(tmp_path / "corpus", TEXTS[:1])
    with pytest.raises(WrongSourceError, match="'traces' reads traces, not corpus"):
        step(folder, "corpus", rendering="traces")


@pytest.mark.parametrize(
    "wrong",
    [
        {"rendering": "verse"},
        {"inverse_sessions": 2},
        {"max_tokens": 3},
        {"observation_mask": 1.5},
        {"heldout_rows": -1},
    ],
)
def test_settings_out_of_range_name_the_field(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TokenizeSettings(**wrong)


@pytest.mark.parametrize("stage", [tokenize.STAGE, tokenizer_stage.STAGE])
def test_what_the_stages_name_exists(stage):
    assert callable(resolve(stage.run))
    for name in stage.modules:
        import_module(name)
    for source in SOURCES.values():
        assert callable(source.render)
        assert any(kind.name == source.kind for kind in tokenize.STAGE.inputs["source"])
