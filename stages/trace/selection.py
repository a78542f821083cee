"""Which traces are kept, decided over all shards at once and from digests alone.

An index holds some 90 bytes for each trace, whatever its length. The traces themselves stay in the
shards' files. What is decided depends on the traces and the settings and on nothing else: not on
which shard a trace is in, nor on the order in which they are read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from model.trace import unmark
from stages.trace.inputs.drivers import without_driver

Row = Mapping[str, Any]
Numbers = np.ndarray[Any, np.dtype[np.uint64]]
Places = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Verdicts = np.ndarray[Any, np.dtype[np.uint8]]

METHODS = (
    "doctest",
    "unittest",
    "pytest",
    "main",
    "harvest",
    "llm",
    "mutation",
    "fuzz",
    "generated",
)
"""How inputs were got, from what people wrote on purpose to chance: of traces that say the same
the first by this order is kept."""

REASONS = ("", "duplicate", "heldout", "coverage", "exception-quota")
"""Why a trace is left out; a verdict is a place in here, 0 for what is kept."""
DETAILS = (
    "",
    "the same trace or call is there",
    "the held-out split has this source",
    "traces of the same lines and outcome are there",
    "exceptions beyond their share",
)
_DUPLICATE, _HELDOUT, _COVERAGE, _QUOTA = range(1, len(REASONS))

SELECTION = (
    pa.field("split", pa.string(), nullable=False),  # train | heldout
    pa.field("key_id", pa.uint64(), nullable=False),  # the first 64 bits of the key
    pa.field("context_id", pa.uint64(), nullable=False),  # of the source, whatever enters it
    pa.field("call_id", pa.uint64(), nullable=False),  # of context and arguments, else of the key
    pa.field("function_id", pa.uint64(), nullable=False),  # of the function, whatever drives it
    pa.field("coverage_id", pa.uint64(), nullable=False),  # of function, lines and outcome
    pa.field("pair_id", pa.uint64(), nullable=False),  # of the pair, 0 where there is none
    pa.field("tie", pa.uint64(), nullable=False),  # of all columns: orders what has the same key
    pa.field("events", pa.uint64(), nullable=False),  # frames
    pa.field("size", pa.uint64(), nullable=False),  # bytes of names and values
)
"""Columns of a shard that are not of the table."""


class Traits(NamedTuple):
    """What traces are counted by."""

    split: str
    source: str
    origin: str
    licence: str
    input_method: str
    outcome: str
    pair: bool


def selection_columns(row: Row) -> dict[str, Any]:
    """Return the columns `SELECTION` of a row that has its "split"."""
    key = int(row["key"][:16], 16)
    context = row["context"]
    source = unmark(context)
    if row["source"] == "function":  # one that yields is shown with each of its calls
        source = without_driver(source)
    plain = {name: value for name, value in row.items() if name not in ("frames", "sandbox")}
    function = [row["group"], row["name"]]
    return {
        "key_id": key,
        "context_id": _digest(source),
        "call_id": _digest([context, row["arguments"]]) if row["literal"] else key,
        "function_id": _digest(function),
        "coverage_id": _digest([*function, row["coverage"], row["outcome"]]),
        "pair_id": _digest(row["pair"]) if row["pair"] else 0,
        "tie": _digest(plain),
        "events": len(row["frames"]),
        "size": sum(map(_size, row["frames"])),
    }


def _size(frame: Row) -> int:
    """Return about what a frame takes in memory, in bytes: the same for equal frames."""
    shown = frame["locals"] or ()
    return 64 + sum(16 + len(each["name"]) + len(each["value"]) for each in shown)


def _digest(value: Any) -> int:
    text = json.dumps(value, sort_keys=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


_NUMBERS = tuple(each.name for each in SELECTION if each.name != "split")
_STRINGS = ("split", "source", "origin", "licence", "input_method", "outcome", "pair")
INDEX_COLUMNS = [*_NUMBERS, *_STRINGS]
"""The columns of a shard that an index is made from."""


@dataclass(slots=True)
class Index:
    """The traces of all shards, in the order of reading."""

    columns: dict[str, Numbers]
    traits: list[Traits]
    trait: Places
    """Of each trace the place of its traits in ``traits``."""

    def __len__(self) -> int:
        return len(self.trait)

    def where(self, test: Callable[[Traits], bool]) -> Mask:
        """Return which traces have traits that satisfy ``test``."""
        return self._spread([test(each) for each in self.traits], np.bool_)

    def rank(self) -> Places:
        """Return how traces that say the same are preferred, the best being the least."""
        first = {method: place for place, method in enumerate(METHODS)}
        ranks = [first[each.input_method] + len(METHODS) * (not each.pair) for each in self.traits]
        return self._spread(ranks, np.int64)

    def _spread(self, values: list[Any], kind: Any) -> np.ndarray[Any, Any]:
        return np.array([*values, 0], dtype=kind)[self.trait]


def make_index(tables: Iterable[pa.Table]) -> Index:
    """Read an index from tables that have `INDEX_COLUMNS`."""
    numbers: dict[str, list[Numbers]] = {name: [np.zeros(0, np.uint64)] for name in _NUMBERS}
    places: list[Places] = [np.zeros(0, np.int64)]
    known: dict[Traits, int] = {}
    for table in tables:
        for name, parts in numbers.items():
            parts.append(table.column(name).to_numpy())
        strings = zip(*(table.column(name).to_pylist() for name in _STRINGS), strict=True)
        traits = (Traits._make((*each[:-1], bool(each[-1]))) for each in strings)
        places.append(np.array([known.setdefault(each, len(known)) for each in traits], np.int64))
    columns = {name: np.concatenate(numbers.pop(name)) for name in _NUMBERS}
    return Index(columns, list(known), np.concatenate(places))


def select(index: Index, *, per_coverage: int, exception_fraction: float) -> Verdicts:
    """Return for each trace of an index its place in `REASONS`: 0 for what is kept.

    First, what repeats another trace or call, and what trains on a held-out source, goes, both
    traces of a pair where one of them does; then of
    one function at most ``per_coverage`` traces of the same lines and outcome stay (0: all), but
    for generated programs, each of which is a function of its own, and for pairs; then, in each
    split, exceptions of functions beyond ``exception_fraction`` of all its traces go.
    """
    verdicts = np.zeros(len(index), dtype=np.uint8)
    _drop_repeats(index, verdicts)
    if per_coverage:
        _thin(index, verdicts, per_coverage)
    for split in dict.fromkeys(each.split for each in index.traits):
        _hold_quota(index, verdicts, split, exception_fraction)
    return verdicts


def _order(index: Index, group: str) -> Places:
    """Sort by a group, in it by rank and key."""
    columns = index.columns
    return np.lexsort((columns["tie"], columns["key_id"], index.rank(), columns[group]))


def _drop_repeats(index: Index, verdicts: Verdicts) -> None:
    """Repeats, and training on what is held out; both can only be among traces of one context."""
    contexts, keys, calls = (index.columns[n] for n in ("context_id", "key_id", "call_id"))
    heldout = index.where(lambda each: each.split == "heldout")
    held_contexts = np.unique(contexts[heldout])
    verdicts[~heldout & np.isin(contexts, held_contexts)] = _HELDOUT
    _drop_halves(index, verdicts)
    context, seen = None, set[int]()
    for place in _order(index, "context_id").tolist():
        if verdicts[place]:
            continue
        if contexts[place] != context:
            context, seen = contexts[place], set()
        names = {int(keys[place]), int(calls[place])}
        if names & seen:
            verdicts[place] = _DUPLICATE
        else:
            seen |= names


def _drop_halves(index: Index, verdicts: Verdicts) -> None:
    """Pairs of which a trace is in a pair before (a fix that was picked onto another branch)."""
    keys, pairs = index.columns["key_id"], index.columns["pair_id"]
    places = np.flatnonzero(pairs)
    order = places[np.argsort(pairs[places], kind="stable")].tolist()
    seen = set[int]()
    for _, group in groupby(order, key=lambda place: int(pairs[place])):
        both = list(group)
        names = {int(keys[place]) for place in both}
        if names & seen or len(names) < len(both) or verdicts[both].any():
            verdicts[both] = np.maximum(verdicts[both], _DUPLICATE)
        else:
            seen |= names


def _thin(index: Index, verdicts: Verdicts, per_coverage: int) -> None:
    coverages = index.columns["coverage_id"]
    free = index.where(lambda each: each.source != "program" and not each.pair)
    coverage, count = None, 0
    for place in _order(index, "coverage_id").tolist():
        if verdicts[place] or not free[place]:
            continue
        if coverages[place] != coverage:
            coverage, count = coverages[place], 0
        count += 1
        if count > per_coverage:
            verdicts[place] = _COVERAGE


def _hold_quota(index: Index, verdicts: Verdicts, split: str, fraction: float) -> None:
    kept = (verdicts == 0) & index.where(lambda e: e.split == split and e.source == "function")
    raised = index.where(lambda each: each.outcome == "exception")
    others = int(np.count_nonzero(kept & ~raised))
    allowed = int(others * fraction / (1 - fraction))
    exceptions = np.flatnonzero(kept & raised)
    columns = index.columns
    order = np.lexsort((columns["tie"][exceptions], columns["key_id"][exceptions]))
    verdicts[exceptions[order[allowed:]]] = _QUOTA
