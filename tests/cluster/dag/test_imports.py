"""What stands in for a step, and what is left out then."""

from dataclasses import dataclass, replace

import pytest

from cluster.dag.imports import (
    ImportOptionError,
    parse_imports,
    select_imported,
    stand_in,
)
from cluster.dag.overrides import split_arguments
from cluster.dag.selection import select
from cluster.dag.stage import Kind, Stage
from cluster.dag.step import Pipeline, Preset, Step, UnknownStepError

MODEL, DATA, PAGE = (Kind(name=name) for name in ("model", "data", "page"))


@dataclass(frozen=True)
class Nothing:
    """No settings."""


def stage(name, output, **more):
    return Stage(name=name, revision=1, run="x:y", settings=Nothing, output=output, **more)


IMPORTED = stage("imported", MODEL, stands_in=True)
IMPORTED_WORDS = stage("imported_words", DATA, stands_in=True)
CORPUS = stage("corpus", DATA)
WORDS = stage("words", DATA, inputs={"corpus": (DATA,)})
TEXT = stage("text", DATA, inputs={"corpus": (DATA,), "words": (DATA,)})
ONE = stage("one", MODEL, inputs={"words": (DATA,)}, more=(DATA,))
GO_ON = {
    n: stage(n, MODEL, inputs={"model": (MODEL,), "words": (DATA,)}, more=(DATA,))
    for n in ("two", "three")
}
TEST = stage("test", DATA, inputs={"model": (MODEL,), "corpus": (DATA,)})
REPORT = stage("report", PAGE, more=(MODEL, DATA))


def preset():
    steps = [
        Step("corpus", CORPUS, Nothing()),
        Step("words", WORDS, Nothing(), inputs={"corpus": "corpus"}),
        Step("text", TEXT, Nothing(), inputs={"corpus": "corpus", "words": "words"}),
        Step("one", ONE, Nothing(), inputs={"words": "words", "text": "text"}),
        Step("two", GO_ON["two"], Nothing(), inputs={"model": "one", "words": "words"}),
        Step("three", GO_ON["three"], Nothing(), inputs={"model": "two", "words": "words"}),
    ]
    steps += [
        Step(f"test.{n}", TEST, Nothing(), inputs={"model": n, "corpus": "corpus"})
        for n in ("one", "two", "three")
    ]
    named = {s.name.replace(".", "_"): s.name for s in steps}
    steps.append(Step("report", REPORT, Nothing(), inputs=named))
    return Preset(name="p", drift_policy="rerun", steps=tuple(steps))


def imported(*names, along=()):
    made = [Step(name, IMPORTED, Nothing()) for name in names if name != "words"]
    made += [
        Step("words", IMPORTED_WORDS, Nothing()) for name in (*names, *along) if name == "words"
    ]
    return stand_in(preset(), made, names)


def test_the_beginning_of_a_chain_leaves_all_that_follows():
    changed, dropped = imported("one", along=("words",))
    assert dropped == ["text"]  # it is made for step one alone, whatever the report lists
    pipeline = Pipeline(changed)
    assert pipeline.steps["one"].stage is IMPORTED and not pipeline.steps["one"].inputs
    assert pipeline.steps["two"].inputs == {"model": "one", "words": "words"}


def test_the_end_of_a_chain_drops_what_came_before_and_its_tests():
    changed, dropped = imported("three", along=("words",))
    assert set(dropped) == {"words", "text", "one", "two", "test.one", "test.two"}
    assert set(Pipeline(changed).steps) == {"corpus", "three", "test.three", "report"}
    report = next(s for s in changed.steps if s.name == "report")
    assert set(report.inputs.values()) == {"corpus", "three", "test.three"}


def test_what_was_asked_for_stays_though_nothing_goes_on_from_it():
    changed, dropped = imported("one", "three", "words")
    assert set(dropped) == {"text", "two", "test.two"}
    assert {"words", "one", "test.one"} <= set(Pipeline(changed).steps)


def test_a_tokenizer_alone_drops_only_what_it_was_made_from():
    changed, dropped = imported("words")
    assert dropped == []
    assert Pipeline(changed).steps["words"].stage is IMPORTED_WORDS


def test_checks_of_several_steps_saw_the_steps_that_were_replaced():
    def check(found):
        assert next(s for s in found.steps if s.name == "one").stage is ONE

    checked = replace(preset(), validate=check)
    changed, _ = stand_in(checked, [Step("one", IMPORTED, Nothing())], ["one"])
    Pipeline(changed)


def test_an_import_is_made_also_for_one_step_alone():
    pipeline = Pipeline(imported("one")[0])
    chosen = select_imported(select(pipeline, only=["two"]), pipeline)
    assert chosen.steps == {"one", "two"} and chosen.forced == {"two"}
    assert select_imported(select(pipeline, only=["three"]), pipeline).steps == {"three"}


def test_folders_are_read_from_the_arguments(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b").mkdir()
    pipeline = Pipeline(preset())
    assert parse_imports(["one=a=b"], pipeline) == {"one": tmp_path / "a=b"}
    assert split_arguments(["--import", "one=a=b"]) == (["--import", "one=a=b"], [])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["one"], "write --import STEP=FOLDER"),
        (["=x"], "write --import STEP=FOLDER"),
        (["one="], "write --import STEP=FOLDER"),
        (["test=/"], "name one of"),
        (["one=/", "one=/"], "imported already"),
        (["one=/no/such"], "no folder /no/such"),
    ],
)
def test_arguments_that_make_no_sense(given, words):
    with pytest.raises(ImportOptionError, match=words):
        parse_imports(given, Pipeline(preset()))


def test_a_step_that_is_not_there_is_suggested():
    with pytest.raises(UnknownStepError, match="Perhaps you meant three"):
        parse_imports(["thre=/"], Pipeline(preset()))


def test_a_pipeline_without_imports_says_so(toy, tmp_path):
    assert "imports nothing" in toy.run("--import", f"numbers={tmp_path}", expect=2)
    assert "there is no folder" in toy.run("--import", "numbers=/no/such", expect=2)


def test_help_tells_of_it(toy):
    shown = toy.run("--help")
    assert "--import" in shown and "STEP=FOLDER" in shown
