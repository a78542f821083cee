"""The command line: which preset and why, overrides, typos, help."""

import pytest

from cluster.dag.options import UnknownPresetError, choose_preset, parse_options
from cluster.dag.overrides import OverrideError, apply_overrides, split_arguments
from tests.cluster.dag.toy import pipeline as toy


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    for name in ("CWM_PRESET", "RAY_ADDRESS", "RAY_JOB_CONFIG_JSON_ENV_VAR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CWM_STORE", str(tmp_path / "store"))


def overridden(*overrides):
    preset = apply_overrides(toy.toy(), split_arguments(overrides)[1], "toy")
    return {step.name: step for step in preset.steps}


def test_the_preset_is_the_option_the_variable_or_tiny(monkeypatch):
    known = ["smoke", "tiny"]
    assert choose_preset(None, known) == (
        "tiny",
        "the default: neither --preset nor CWM_PRESET is given",
    )
    monkeypatch.setenv("CWM_PRESET", "smoke")
    assert choose_preset(None, known) == ("smoke", "CWM_PRESET")
    assert choose_preset("tiny", known) == ("tiny", "--preset")
    with pytest.raises(UnknownPresetError, match=r"'tny'.*Perhaps you meant tiny"):
        choose_preset("tny", known)


def test_the_first_line_says_which_preset_and_why(capsys, monkeypatch):
    monkeypatch.setenv("CWM_PRESET", "slow")
    assert toy.run("--plan", "--executor", "local") == 0
    assert capsys.readouterr().out.splitlines()[0] == "preset slow (CWM_PRESET)"


def test_overrides_are_told_from_options():
    others, found = split_arguments(
        ["--preset", "tiny", "a.b=1", "--a.c=2=3", "--store", "/x=y", "--a.d", "4", "--only", "a"]
    )
    assert others == ["--preset", "tiny", "--store", "/x=y", "--only", "a"]
    assert found == [("a.b", "1"), ("a.c", "2=3"), ("a.d", "4")]


def test_overrides_reach_steps_variants_and_placements():
    steps = overridden(
        "keep.divisor=3", "total.factor=2", "total.kept.factor=4", "total.all.placement.cpus=1.5"
    )
    assert steps["keep"].settings.divisor == 3
    assert steps["total.all"].settings.factor == 2.0
    assert steps["total.kept"].settings.factor == 4.0
    assert steps["total.all"].placement.cpus == 1.5
    assert overridden("slow.fail=True")["slow"].settings.fail is True


def test_a_wrong_step_is_suggested():
    with pytest.raises(OverrideError, match=r"Perhaps you meant keep\.divisor"):
        overridden("kep.divisor=3")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["kep.divisor=3"], "Perhaps you meant keep.divisor"),
        (["keep.diviser=3"], "Perhaps you meant"),
        (["keep.divisor=three"], "invalid literal"),
        (["keep.divisor=0"], "divisor is 0, must be at least 1"),
        (["keep.placement.cpus=1"], "stage keep has no placement"),
        (["--onyl", "keep"], "Perhaps you meant"),
        (["--preset", "tinny"], "Perhaps you meant tiny"),
        (["--only", "kep"], "Perhaps you meant keep"),
        (["keep.divisor"], "Unrecognized"),
        (["--keep.divisor"], "has no value"),
    ],
)
def test_what_makes_no_sense_exits_2_with_a_suggestion(capsys, arguments, words):
    try:
        code = toy.run(*arguments, "--plan", "--executor", "local")
    except SystemExit as error:  # tyro ends the program itself
        code = error.code
    captured = capsys.readouterr()
    shown = " ".join((captured.out + captured.err).replace("│", " ").split())
    assert (code, words in shown) == (2, True), shown


def test_help_teaches_by_example(capsys):
    with pytest.raises(SystemExit) as error:
        parse_options(["--help"], "python pipelines/full.py", "About.")
    assert error.value.code == 0
    shown = capsys.readouterr().out
    for words in ("--plan", "--only evaluate.rl", "midtrain.steps=400", "CWM_STORE", "--from"):
        assert words in shown


def test_the_settings_of_a_stage_are_explained(capsys):
    with pytest.raises(SystemExit) as error:
        toy.run("--settings", "keep")
    assert error.value.code == 0
    shown = capsys.readouterr().out
    assert "Numbers that it divides are kept" in shown and "divisor" in shown
