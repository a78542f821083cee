"""The mix: which share of a stage's tokens comes from each data set (paper, §4.2).

An entry names its share of its group as a weight, or the passes it is to make over its data set
("target epochs"; paper: 1 to 4). A data set may be in several groups, such as code that was already
pre-trained on. An entry's share of all tokens follows::

    with epochs    epochs x tokens of the data set / tokens of the stage
    with a weight  weight x (share of the group - what its entries with epochs take)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # settings.py checks its mixes with this module
    from stages.training.settings import MixEntry, MixGroup

MANY_EPOCHS = 4
"""More passes over a data set than this are warned of (paper: 1 to 4)."""
TOLERANCE = 1e-6
"""How far sums of weights may be from 1."""


class MixError(ValueError):
    """Weights that do not sum to 1, or target epochs that do not fit; names the entry or group."""


def used(mix: Sequence[MixEntry]) -> list[MixEntry]:
    """Return the entries that have a share."""
    return [entry for entry in mix if entry.weight or entry.epochs]


def check_mix(mix: Sequence[MixEntry], groups: Sequence[MixGroup]) -> None:
    """Raise `MixError` for what is wrong with a mix whatever its data sets hold."""
    _check_names(mix)
    shares = _group_shares(groups)
    for entry in used(mix):
        if entry.weight and entry.epochs:
            raise MixError(
                f"mix: {entry.dataset!r} has both weight = {entry.weight:g} and epochs = "
                f"{entry.epochs:g}; one of them follows from the other"
            )
        if entry.group not in shares:
            raise MixError(
                f"mix: {entry.dataset!r} is in group {entry.group!r}; groups: "
                f"{', '.join(repr(name) for name in shares)}"
            )
    _sums_to_1(f"the groups {', '.join(shares)}", list(shares.values()))
    for group in shares:
        weights = [entry.weight for entry in used(mix) if entry.group == group and entry.weight]
        where = f"group {group!r}" if group else "the mix"
        if not weights:
            raise MixError(
                f"mix: no data set of {where} has a weight; one at least must take what target "
                "epochs leave over"
            )
        _sums_to_1(f"the data sets of {where} that have no epochs", weights)


def _check_names(mix: Sequence[MixEntry]) -> None:
    found: dict[str, MixEntry] = {}
    places = [(entry.dataset, entry.group) for entry in mix]
    for entry in mix:
        if places.count((entry.dataset, entry.group)) > 1:
            raise MixError(f"mix: {entry.dataset!r} is twice in the same group, or in none")
        if found.setdefault(entry.dataset, entry).long != entry.long:
            raise MixError(f"mix: {entry.dataset!r} is cut differently in two groups (`long`)")


def entry_shares(
    mix: Sequence[MixEntry],
    groups: Sequence[MixGroup],
    tokens: Mapping[str, int],
    stage_tokens: float,
) -> list[tuple[MixEntry, float]]:
    """Return every used entry, group by group, with its share of all tokens; they sum to 1.

    ``tokens`` are those of one pass over each data set, ``stage_tokens`` those that the stage
    trains on. Raises `MixError` when target epochs take more than their group has.
    """
    check_mix(mix, groups)
    shares: list[tuple[MixEntry, float]] = []
    for group, whole in _group_shares(groups).items():
        entries = [entry for entry in used(mix) if entry.group == group]
        passes = [entry for entry in entries if entry.epochs]
        fixed = {e.dataset: e.epochs * tokens[e.dataset] / stage_tokens for e in passes}
        taken = fsum(fixed.values())
        rest = whole - taken
        if rest <= 0:
            parts = ", ".join(f"{name} {share:.3g}" for name, share in fixed.items())
            raise MixError(
                f"mix: target epochs take {taken:.3g} of the stage's tokens ({parts}), of which "
                f"{f'group {group!r}' if group else 'the mix'} has {whole:g}: fewer epochs, or "
                f"more than {taken / whole:.3g} times as many steps"
            )
        shares += [(e, fixed[e.dataset] if e.epochs else e.weight * rest) for e in entries]
    return shares


def dataset_shares(shares: Sequence[tuple[MixEntry, float]]) -> dict[str, float]:
    """Return the share of every data set, over all groups that it is in."""
    total: dict[str, float] = {}
    for entry, share in shares:
        total[entry.dataset] = total.get(entry.dataset, 0.0) + share
    return total


def _group_shares(groups: Sequence[MixGroup]) -> dict[str, float]:
    if not groups:
        return {"": 1.0}
    names = [group.name for group in groups]
    if len(set(names)) < len(names) or "" in names:
        raise MixError(f"mix: the groups' names, {', '.join(names)}, must differ and not be empty")
    return {group.name: group.weight for group in groups}


def _sums_to_1(what: str, weights: Sequence[float]) -> None:
    total = fsum(weights)
    if abs(total - 1) > TOLERANCE:
        raise MixError(f"mix: the weights of {what} sum to {total:.6g}, not 1")
    if min(weights) < 0:
        raise MixError(f"mix: a weight of {what} is {min(weights):g}; allowed: at least 0")
