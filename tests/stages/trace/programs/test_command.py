"""``python -m stages.trace.programs``: for people who want to see what the programs are like."""

import pytest

from stages.trace.programs.__main__ import main


def test_it_shows_an_example_and_what_the_family_is_like(capsys):
    assert main(["--family", "permutation", "--difficulty", "0.5", "--count", "5"]) == 0
    said = capsys.readouterr().out
    assert "def f(" in said and "permutation:0.5:0:0" in said and "return 100%" in said


def test_without_a_family_there_is_a_line_for_each(capsys):
    assert main(["--difficulty", "0.1", "--count", "2"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("straight", "closures", "permutation"))


@pytest.mark.parametrize(
    "arguments", [("--family", "nothing"), ("--family", "loops", "--difficulty", "2")]
)
def test_what_is_not_there_is_refused(arguments, capsys):
    assert main([*arguments, "--count", "1"]) == 2
    assert "permutation" in capsys.readouterr().err
    assert main(["--count", "0"]) == 2
