"""Shares: weights within groups, target epochs, and every way to get them wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.training.mix import MixError, check_mix, dataset_shares, entry_shares
from stages.training.settings import MixEntry, MixGroup

GROUPS = (
    MixGroup(name="world", weight=0.3),
    MixGroup(name="code", weight=0.4),
    MixGroup(name="rehearsal", weight=0.3),
)


def entry(dataset, group="", **how):
    return MixEntry(dataset=dataset, group=group, **how)


def shares_of(mix, groups, tokens, stage_tokens):
    return dataset_shares(entry_shares(mix, groups, tokens, stage_tokens))


def test_groups_and_epochs():
    mix = (
        entry("traces", "world", weight=0.5),
        entry("prose", "world", weight=0.5),
        entry("repositories", "world", epochs=2),
        entry("code", "code", weight=1),
        entry("web", "rehearsal", weight=0.9),
        entry("code", "rehearsal", weight=0.1),
        entry("unused", "nowhere"),
    )
    tokens = dict.fromkeys(("traces", "prose", "code", "web"), 7) | {"repositories": 50}
    shares = shares_of(mix, GROUPS, tokens, stage_tokens=1000)
    assert shares == pytest.approx(
        {"repositories": 0.1, "traces": 0.1, "prose": 0.1, "code": 0.43, "web": 0.27}
    )


@given(
    weights=st.lists(st.integers(1, 1000), min_size=1, max_size=6),
    epochs=st.lists(st.floats(0.1, 4), max_size=4),
)
def test_shares_sum_to_1_and_epochs_are_reached(weights, epochs):
    mix = [entry(f"w{i}", weight=w / sum(weights)) for i, w in enumerate(weights)]
    mix += [entry(f"e{i}", epochs=e) for i, e in enumerate(epochs)]
    tokens = {made.dataset: 10 + 3 * i for i, made in enumerate(mix)}
    shares = shares_of(mix, (), tokens, stage_tokens=1000)
    assert sum(shares.values()) == pytest.approx(1)
    for i, target in enumerate(epochs):
        assert shares[f"e{i}"] * 1000 / tokens[f"e{i}"] == pytest.approx(target)


@pytest.mark.parametrize(
    ("mix", "groups", "message"),
    [
        ((), (), "no data set of the mix has a weight"),
        ((entry("a", weight=0.5), entry("b", weight=0.4)), (), "the mix .* sum to 0.9, not 1"),
        ((entry("a", weight=1, epochs=2),), (), "'a' has both weight = 1 and epochs = 2"),
        ((entry("a", epochs=2),), (), "one at least must take what target epochs leave over"),
        ((entry("a", weight=1), entry("a", weight=1)), (), "'a' is twice in the same group"),
        (
            (entry("a", "world", weight=1), entry("a", "code", weight=1, long="drop")),
            GROUPS,
            "'a' is cut differently in two groups",
        ),
        ((entry("a", "code", weight=1),), (), "'a' is in group 'code'; groups: ''"),
        ((entry("a", weight=1),), GROUPS, "'a' is in group ''; groups: 'world', 'code'"),
        (
            (entry("a", "world", weight=1), entry("b", "code", weight=1)),
            GROUPS,
            "no data set of group 'rehearsal' has a weight",
        ),
        (
            (entry("a", "world", weight=0.9),),
            (MixGroup(name="world", weight=1),),
            "the data sets of group 'world' .* sum to 0.9",
        ),
        ((entry("a", "world", weight=1),), GROUPS[:2], "the groups world, code sum to 0.7, not 1"),
        ((entry("a", "world", weight=1),), GROUPS[:1] * 2, "names, world, world, must differ"),
        (
            (entry("a", "world", weight=1), entry("b", "code", weight=1)),
            (MixGroup(name="world", weight=2), MixGroup(name="code", weight=-1)),
            "a weight of the groups world, code is -1",
        ),
    ],
)
def test_wrong_mixes(mix, groups, message):
    with pytest.raises(MixError, match=message):
        check_mix(mix, groups)


def test_epochs_that_do_not_fit():
    mix = (entry("big", "world", epochs=2), entry("small", "world", weight=1))
    groups = (MixGroup(name="world", weight=0.4), MixGroup(name="code", weight=0.6))
    with pytest.raises(
        MixError, match=r"take 0.5 .*\(big 0.5\), .*'world' has 0.4: .* than 1.25 times as many"
    ):
        shares_of((*mix, entry("c", "code", weight=1)), groups, {"big": 250, "small": 1}, 1000)
