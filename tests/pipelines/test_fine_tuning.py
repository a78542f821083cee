"""What SFT of the large presets is made of."""

from math import isclose

import pytest

from pipelines.presets import PRESETS
from pipelines.presets.common import fine_tuning
from stages.training.settings import MixEntry, MixGroup

MIX = (
    MixEntry(group="a", dataset="x", weight=1.0),
    MixEntry(group="b", dataset="x", weight=0.5),
    MixEntry(group="b", dataset="y", weight=0.5, long="drop"),
)


def test_rehearsal_has_the_shares_of_the_mix_that_it_rehearses():
    made = fine_tuning(MIX, (MixGroup(name="a", weight=0.4), MixGroup(name="b", weight=0.6)))
    rehearsed = [entry for entry in made["mix"] if entry.group == "rehearsal"]
    assert [(e.dataset, e.weight, e.long) for e in rehearsed] == [
        ("x", pytest.approx(0.7), "split"),
        ("y", pytest.approx(0.3), "drop"),
    ]
    assert [group.weight for group in made["groups"]] == [0.70, 0.30]


@pytest.mark.parametrize("name", ["one_gpu", "cwm_32b"])
def test_the_large_presets_rehearse_their_midtraining(name):
    at = {step.name: step for step in PRESETS[name]().steps}
    settings = at["sft"].settings
    assert {group.name: group.weight for group in settings.groups} == {
        "chats": 0.70,
        "rehearsal": 0.30,
    }
    for group in settings.groups:
        assert isclose(sum(e.weight for e in settings.mix if e.group == group.name), 1.0)
    chats = {entry.dataset for entry in settings.mix if entry.group == "chats"}
    assert chats == {"chats", "reasoning", "tool_use"}
    midtrained = {entry.dataset for entry in at["midtrain"].settings.mix}
    assert {e.dataset for e in settings.mix if e.group == "rehearsal"} == midtrained
    assert not chats & at["midtrain"].inputs.keys()
    assert at["tasks"].settings.self_contained


def test_tiny_is_tuned_on_plain_answers():
    """As the README has measured it: 256 tokens leave little room for thoughts and tools."""
    at = {step.name: step for step in PRESETS["tiny"]().steps}
    assert set(at["sft"].inputs) == {
        *("checkpoint", "tokenizer"),
        *("chats", "program_traces", "asserts", "code"),
    }
