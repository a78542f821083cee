"""The data card: what is in an artifact of traces, written for who is about to use it.

It lies beside the tables, outside the digest of the content.
"""

from __future__ import annotations

import platform
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from model.frames import Trace
from stages.trace.counts import Work
from stages.trace.renderings.annotated import annotated
from stages.trace.selection import Index, Places, Verdicts
from stages.trace.settings import TraceSettings

_EXAMPLES = 12
_EXAMPLE_EVENTS = (6, 40)  # frames of an example: enough to see something, few enough to read
_ORIGINS = 20
_BAR = 40

Cells = Sequence[object]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a card says that the index does not know."""

    settings: TraceSettings
    work: Work
    reasons: Counter[str]
    counts: Mapping[str, Any]


def examples(index: Index, verdicts: Verdicts) -> list[int]:
    """Return the places of a dozen kept traces: of each source and method in turn, by key."""
    low, high = _EXAMPLE_EVENTS
    events = index.columns["events"]
    short = (verdicts == 0) & (events >= low) & (events <= high)
    kinds: dict[tuple[str, str], list[int]] = {}
    for place in np.flatnonzero(short)[np.argsort(index.columns["key_id"][short])].tolist():
        traits = index.traits[index.trait[place]]
        kinds.setdefault((traits.source, traits.input_method), []).append(place)
    turns = sorted(
        (turn, kind, place)
        for kind, places in kinds.items()
        for turn, place in enumerate(places[:_EXAMPLES])
    )
    return [place for _, _, place in turns[:_EXAMPLES]]


def write_card(
    file: Path,
    facts: Facts,
    index: Index,
    verdicts: Verdicts,
    shown: Iterable[Mapping[str, Any]],
) -> None:
    """Write the card; ``shown`` are the rows of its examples."""
    kept = np.flatnonzero(verdicts == 0)
    parts = [
        _summary(facts),
        _sources(index, kept),
        _by_trait("Licences", "licence", index, kept),
        _by_trait("Origins", "origin", index, kept),
        _methods(facts, index, kept),
        _by_trait("Outcomes", "outcome", index, kept),
        _funnel(facts),
        _lengths(index, kept),
        _limits(facts.settings),
        _promises(facts.settings),
        "## Examples\n\n" + "\n".join(map(_example, shown)),
    ]
    file.write_text("\n\n".join(parts) + "\n")


def _summary(facts: Facts) -> str:
    counts, work = facts.counts, facts.work
    return (
        "# Data card: execution traces\n\n"
        f"{counts['traces']:,} traces of {counts['functions']:,} functions from "
        f"{counts['distributions']:,} distributions, of generated programs and of repositories' "
        "tests. A trace is a source text and what happened when it ran: each line with all local "
        "variables before it, each call, return and exception.\n\n"
        f"- Python {platform.python_version()}\n"
        f"- sandbox layer of the shards: {_listed(work.layers)}\n"
        f"- tracing engine of the shards: {_listed(work.engines)}\n"
        f"- seed {facts.settings.seed}"
    )


def _sources(index: Index, kept: Places) -> str:
    rows = []
    traits = [index.traits[place] for place in index.trait[kept].tolist()]
    events = index.columns["events"][kept]
    for source, split in sorted({(each.source, each.split) for each in traits}):
        here = events[[(each.source, each.split) == (source, split) for each in traits]]
        quantiles = np.quantile(here, (0.5, 0.9, 1.0)).astype(int).tolist()
        rows.append((source, split, len(here), int(here.sum()), *quantiles))
    head = ("source", "split", "traces", "frames", "median", "90 %", "longest")
    return "## Sources\n\n" + _table(head, rows) + "\n\nThe last three are frames of a trace."


def _by_trait(title: str, column: str, index: Index, kept: Places) -> str:
    codes = np.bincount(index.trait[kept], minlength=len(index.traits)).tolist()
    found = Counter[str]()
    for each, count in zip(index.traits, codes, strict=True):
        if count:
            found[getattr(each, column)] += count
    rows = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
    text = f"## {title}\n\n" + _table((column, "traces"), rows[:_ORIGINS])
    more = rows[_ORIGINS:]
    return text + (f"\n\nand {len(more)} more, {sum(n for _, n in more):,} traces" if more else "")


def _methods(facts: Facts, index: Index, kept: Places) -> str:
    stay = Counter(index.traits[place].input_method for place in index.trait[kept].tolist())
    rows = [
        (
            name,
            tried,
            valid,
            stay[name],
            f"{seconds:.1f}",
            f"{valid / seconds:.1f}" if tried and seconds else "",
        )
        for name, tried, valid, seconds in facts.work.methods()
    ]
    head = ("method", "inputs tried", "traces made", "kept", "CPU seconds", "made per CPU second")
    note = '"check" is the second execution of functions, which finds what is not deterministic.'
    return f"## How inputs were found\n\n{_table(head, rows)}\n\n{note}"


def _funnel(facts: Facts) -> str:
    counts = facts.counts
    rows = [
        ("functions found", counts["functions.found"]),
        ("functions chosen", counts["functions.chosen"]),
        ("functions with a trace", counts["functions"]),
        ("traces made", counts["traces.made"]),
        ("traces kept", counts["traces"]),
    ]
    reasons = sorted(facts.reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    text = "What was left out, functions, calls and traces; each stands in `dropped/` with details."
    return (
        f"## From functions to traces\n\n{_table(('step', 'count'), rows)}\n\n{text}\n\n"
        + _table(("reason", "count"), reasons)
    )


def _lengths(index: Index, kept: Places) -> str:
    events = index.columns["events"][kept].astype(float)
    powers = np.floor(np.log2(np.maximum(events, 1))).astype(int)
    found = np.bincount(powers).tolist() if len(powers) else []
    most = max(found, default=1)
    lines = [
        f"{2**power:>7}–{2 ** (power + 1) - 1:<7} {count:>9,} {'█' * -(-_BAR * count // most)}"
        for power, count in enumerate(found)
    ]
    return "## Lengths\n\nFrames of a trace, and how many traces:\n\n" + _fenced("\n".join(lines))


def _limits(settings: TraceSettings) -> str:
    shown = {each.name: getattr(settings, each.name) for each in fields(settings)}
    rows = [(name, f"`{value!r}`") for name, value in shown.items() if name != "repositories"]
    rows.append(("repositories", ", ".join(each.name for each in settings.repositories) or "none"))
    return (
        "## Settings and limits\n\n"
        "Meaning and units are beside their defaults in `stages/trace/settings.py`. A trace that "
        "reaches its budget of events or bytes is cut there, and its outcome says so.\n\n"
        + _table(("setting", "value"), rows)
    )


def _promises(settings: TraceSettings) -> str:
    lines = [
        "Values are texts of bounded length; addresses of objects are not shown.",
        "Globals, files and the network are not recorded; code in C is stepped over.",
        "The same settings and inputs give the same digest on any number of workers.",
        "No source, as traces show it, is in both splits.",
        "Secrets and e-mail addresses in sources and values are replaced by placeholders.",
    ]
    if settings.keep_flagged:
        lines[2] = "Flagged traces are kept: another run need not give the same digest."
    elif settings.llm.model:
        lines[2] = (
            "Inputs were made by a served language model: the digest is the same only where its "
            "answers are."
        )
    return "## What to know\n\n" + "\n".join(f"- {line}" for line in lines)


def _example(row: Mapping[str, Any]) -> str:
    where = row["test"] or f"{row['entry']}({row['arguments']})"
    title = f"### {_inline(where)}"
    facts = f"{row['source']}, {row['input_method']}, from {row['origin']} ({row['licence']}), "
    shown = _fenced(annotated(Trace.from_row(row)).rstrip())
    return f"{title}\n\n{facts}{row['outcome']}\n\n{shown}\n"


def _inline(text: str) -> str:
    """Return text as code within a line, whatever backticks are in it."""
    short = " ".join(text.split())[:100]
    ticks = "`" * (1 + max(map(len, re.findall("`+", short)), default=0))
    return f"{ticks} {short} {ticks}"


def _fenced(text: str) -> str:
    ticks = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{ticks}text\n{text}\n{ticks}"


def _table(head: Cells, rows: Iterable[Cells]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(value: object) -> str:
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name or 'unknown'} {count}" for name, count in sorted(counts.items()))
