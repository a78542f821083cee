"""The scripted agent's edits lead where they should."""

import random
from collections import Counter

import pytest

from stages.forage import tools
from stages.forage.agent import actions
from stages.forage.mutations import mutate
from stages.forage.settings import ForageSettings
from stages.forage.tools import call_tool, prepare

ORIGINAL = "def f(a, b):\n    a = a + 1\n\n    c = a * b\n\n    return c\n"


@pytest.mark.parametrize("seed", range(8))
def test_every_edit_applies_and_only_who_gives_up_leaves_it_broken(seed, tmp_path, monkeypatch):
    monkeypatch.setattr(tools, "WORKSPACE", tmp_path / "work")
    monkeypatch.chdir(tmp_path)
    settings = ForageSettings(wrong_edit_fraction=0.7)
    for mutation in mutate(ORIGINAL):
        todo = actions("f", mutation.source, ORIGINAL, settings, random.Random(seed))
        prepare({"f.py": mutation.source})
        for tool, content in todo:
            if tool == "edit":
                assert not call_tool(tool, content, 1).startswith("error")
        assert todo[-1] == ("submit", "f.py")
        edits = sum(tool == "edit" for tool, _ in todo)
        fixed = (tmp_path / "work" / "f.py").read_text() == ORIGINAL
        assert edits in (1, 2)
        assert fixed or edits == 1


def test_its_ways_are_as_frequent_as_the_settings_say():
    settings = ForageSettings(wrong_edit_fraction=0.5, give_up_fraction=0.5)
    (mutation, *_) = mutate(ORIGINAL)
    lengths = Counter(
        len(actions("f", mutation.source, ORIGINAL, settings, random.Random(n))) for n in range(400)
    )
    assert set(lengths) == {5, 7}  # right at once or given up; wrong first
    assert 60 < lengths[7] < 140


def test_it_can_always_be_right_or_always_wrong():
    right = ForageSettings(wrong_edit_fraction=0.0)
    (mutation, *_) = mutate(ORIGINAL)
    todo = [actions("f", mutation.source, ORIGINAL, right, random.Random(n)) for n in range(5)]
    assert {len(t) for t in todo} == {5}
    assert len({str(t) for t in todo}) == 1
