"""Which traces are kept: the same whatever the order, within the quotas, nothing twice."""

import hashlib
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.trace.selection import (
    INDEX_COLUMNS,
    METHODS,
    REASONS,
    SELECTION,
    make_index,
    select,
    selection_columns,
)


@st.composite
def rows(draw):
    """A row of few possible functions, arguments and outcomes, so that much repeats itself."""
    source = draw(st.sampled_from(["function", "function", "program", "repository"]))
    context = f"def f{draw(st.integers(0, 3))}()"
    arguments, outcome = (
        draw(st.sampled_from("abc")),
        draw(st.sampled_from(["return", "exception"])),
    )
    lines = draw(st.integers(0, 1))
    key = hashlib.sha256(f"{source}{context}{arguments}{lines}{outcome}".encode()).hexdigest()
    return {
        "key": key,
        "source": source,
        "context": context,
        "name": f"m:{context}",
        "group": context[:5] if source == "function" else context,
        "origin": "o",
        "licence": "MIT",
        "arguments": arguments,
        "literal": draw(st.booleans()),
        "input_method": draw(st.sampled_from(METHODS)),
        "pair": draw(st.sampled_from(["", "", "p"])) if source == "repository" else "",
        "coverage": str(lines),
        "outcome": outcome,
        "split": draw(st.sampled_from(["train", "train", "heldout"])),
        "frames": [{"locals": None, "value": "1"}] * draw(st.integers(1, 3)),
        "sandbox": draw(st.sampled_from(["bwrap", "landlock"])),
    }


def index_of(found):
    names = {field.name: field for field in SELECTION}
    schema = pa.schema([names.get(name, pa.field(name, pa.string())) for name in INDEX_COLUMNS])
    full = [{**row, **selection_columns(row)} for row in found]
    return make_index([pa.Table.from_pylist(full, schema=schema)])


def chosen(found, per_coverage=2, exception_fraction=0.2):
    verdicts = select(
        index_of(found), per_coverage=per_coverage, exception_fraction=exception_fraction
    )
    return [row for row, verdict in zip(found, verdicts, strict=True) if not verdict]


def content(found):
    return sorted(repr({k: v for k, v in row.items() if k != "sandbox"}) for row in found)


@settings(deadline=None)
@given(st.lists(rows(), max_size=60), st.randoms())
def test_the_order_of_reading_has_no_part_in_it(found, random):
    other = list(found)
    random.shuffle(other)
    assert content(chosen(found)) == content(chosen(other))


@settings(deadline=None)
@given(st.lists(rows(), max_size=60), st.integers(0, 60))
def test_nor_has_the_division_into_shards(found, cut):
    whole = index_of(found)
    parts = [index_of(found[:cut]), index_of(found[cut:])]
    for name, column in whole.columns.items():
        assert (column == np.concatenate([part.columns[name] for part in parts])).all()


@settings(deadline=None)
@given(st.lists(rows(), max_size=60))
def test_what_is_kept_once_is_kept_again(found):
    assert chosen(chosen(found)) == chosen(found)


@settings(deadline=None)
@given(st.lists(rows(), max_size=80), st.sampled_from([0.0, 0.2, 0.5]), st.sampled_from([0, 1, 2]))
def test_no_repeats_no_leaks_and_the_quotas_hold(found, fraction, per_coverage):
    kept = chosen(found, per_coverage, fraction)
    assert len({row["key"] for row in kept}) == len(kept)
    calls = [(row["context"], row["arguments"]) for row in kept if row["literal"]]
    assert len(calls) == len(set(calls))
    contexts = {s: {r["context"] for r in kept if r["split"] == s} for s in ("train", "heldout")}
    assert not contexts["train"] & contexts["heldout"]
    for split in ("train", "heldout"):
        ends = Counter(
            row["outcome"] for row in kept if (row["source"], row["split"]) == ("function", split)
        )
        assert ends["exception"] <= fraction * ends.total()
    covered = Counter(
        (row["group"], row["name"], row["coverage"], row["outcome"])
        for row in kept
        if row["source"] != "program" and not row["pair"]
    )
    assert not per_coverage or max(covered.values(), default=0) <= per_coverage


def plain(**changes):
    row = {
        "source": "function",
        "context": "def f()",
        "name": "m:f",
        "group": "d",
        "origin": "o",
        "licence": "MIT",
        "arguments": "1",
        "literal": True,
        "input_method": "fuzz",
        "pair": "",
        "coverage": "c",
        "outcome": "return",
        "split": "train",
        "frames": [{"locals": [{"name": "ab", "value": "cde"}], "value": None}],
        "sandbox": "bwrap",
        **changes,
    }
    return {"key": hashlib.sha256(repr(changes).encode()).hexdigest(), **row}


def test_of_equal_calls_what_a_person_wrote_is_kept():
    found = [plain(input_method=method) for method in ("fuzz", "doctest", "mutation")]
    assert [row["input_method"] for row in chosen(found)] == ["doctest"]


def test_a_pair_is_never_thinned_and_wins():
    pair = plain(source="repository", pair="p", literal=False, arguments="", key="b" * 64)
    same = {**pair, "pair": ""}
    more = [{**pair, "key": str(n) * 64} for n in range(3)]
    kept = chosen([same, pair, *more], per_coverage=1)
    assert len(kept) == 4 and all(row["pair"] for row in kept)


def side(pair, name, text):
    key = hashlib.sha256(text.encode()).hexdigest()
    return plain(source="repository", pair=pair, side=name, literal=False, context=text, key=key)


@pytest.mark.parametrize("names", ["pq", "qp"])
def test_pairs_are_kept_or_left_out_whole(names):
    first, second = names
    picked = [side(pair, name, name) for pair in (first, second) for name in ("before", "after")]
    assert Counter(row["pair"] for row in chosen(picked)).most_common(1)[0][1] == 2
    assert len(chosen(picked)) == 2
    found = [*picked[:2], side(second, "before", "before"), side(second, "after", "else")]
    kept = chosen(found)
    assert len(kept) == 2 and len({row["pair"] for row in kept}) == 1


def test_a_pair_that_shows_no_difference_is_none():
    assert not chosen([side("p", "before", "same"), side("p", "after", "same")])


def test_what_a_pair_left_out_shows_others_may():
    held = plain(split="heldout", context="before")
    pair = [side("p", "before", "before"), side("p", "after", "after")]
    alone = {**pair[1], "pair": ""}
    assert chosen([held, *pair, alone]) == [held, alone]


def test_a_heldout_source_is_known_whatever_calls_it():
    text = "def f(n):{}\n    yield n\n"
    driver = "\nimport math\n\n\ndef main():{}\n    return list(f({}))\n"
    held = plain(split="heldout", context=text.format("") + driver.format("", 1))
    other = plain(context=text.format("") + driver.format("  # << START_OF_TRACE", "math.pi"))
    alone = plain(context=text.format("  # << START_OF_TRACE"))
    assert chosen([held, other, alone]) == [held]
    program = plain(source="program", context=text.format("") + driver.format("", 2))
    assert program in chosen([held, program])


def test_reasons_are_told_apart():
    found = [
        plain(split="heldout", context="x"),
        plain(context="x"),
        plain(arguments="1"),
        plain(arguments="1", coverage="d"),
        plain(arguments="2"),
        plain(arguments="3", outcome="exception"),
    ]
    verdicts = select(index_of(found), per_coverage=1, exception_fraction=0.2)
    said = Counter(REASONS[code] for code in verdicts)
    assert said == {"": 2, "heldout": 1, "duplicate": 1, "coverage": 1, "exception-quota": 1}


def test_nothing_is_no_trouble():
    assert not len(select(index_of([]), per_coverage=2, exception_fraction=0.2))


def test_the_size_is_that_of_names_and_values():
    columns = selection_columns(plain())
    assert columns["events"] == 1 and columns["size"] == 64 + 16 + len("ab") + len("cde")


@pytest.mark.parametrize("change", ["frames", "sandbox"])
def test_a_tie_is_broken_by_content_alone(change):
    row = plain()
    other = {**row, change: [] if change == "frames" else "landlock"}
    assert selection_columns(row)["tie"] == selection_columns(other)["tie"]
