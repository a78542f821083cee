"""From recordings to rows: keys, the split, and what is left out when all shards are there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from model.trace import mark_line
from stages.trace.candidates import Candidate
from stages.trace.programs import shape
from stages.trace.settings import TraceSettings

Row = dict[str, Any]

_KEPT = frozenset({"return", "exception", "event-budget", "byte-budget"})


def trace_key(context: str, entry: str, frames: Sequence[Mapping[str, Any]]) -> str:
    """Return the sha256 over context, entry and frames, which names a trace."""
    text = json.dumps([context, entry, frames], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def program_row(found: Mapping[str, Any], python: str, layer: str) -> Row:
    """Return the row of a generated program; its group is its shape, whatever its names."""
    source = found["source"]
    entry_line = source[: source.index(f"def {found['name']}(")].count("\n") + 1
    context = mark_line(source, entry_line)
    return {
        "key": trace_key(context, found["name"], found["frames"]),
        "source": "program",
        "document": "",
        "origin": "generator",
        "licence": "Apache-2.0",
        "name": found["program"],
        "context": context,
        "entry": found["name"],
        "arguments": found["arguments"],
        "literal": True,
        "input_method": "generated",
        "revision": "",
        "test": "",
        "pair": "",
        "side": "",
        "coverage": "",
        "tampered": False,
        "deterministic": True,
        "frames": found["frames"],
        "outcome": found["outcome"],
        "result": found["result"],
        "episode": 0,
        "group": shape(source),
        "python": python,
        "sandbox": layer,
    }


def function_row(found: Mapping[str, Any], candidate: Candidate, python: str, layer: str) -> Row:
    """Return the row of one call of a real function; its group is its document."""
    context = mark_line("".join(candidate.shown.text), candidate.shown.entry_line)
    return {
        "key": trace_key(context, candidate.function, found["frames"]),
        "source": "function",
        "document": candidate.document,
        "origin": candidate.origin,
        "licence": candidate.licence,
        "name": candidate.name,
        "context": context,
        "entry": candidate.function,
        "arguments": found["arguments"] or "",
        "literal": found["arguments"] is not None,
        "input_method": found["method"],
        "revision": "",
        "test": "",
        "pair": "",
        "side": "",
        "coverage": "",
        "tampered": False,
        "deterministic": True,
        "frames": found["frames"],
        "outcome": found["outcome"],
        "result": found["result"],
        "episode": 0,
        "group": candidate.document,
        "python": python,
        "sandbox": layer,
    }


def unfit(row: Row, min_lines: int) -> tuple[str, str] | None:
    """Return why a single trace is not kept, or None."""
    if row["outcome"] == "call-budget":
        return "call-budget", "its callees, which are stepped over, make too many calls"
    if row["outcome"] not in _KEPT:
        return "lost", "tracing was tampered with, or the stack ran out"
    lines = sum(frame["event"] == "line" for frame in row["frames"])
    if lines < min_lines:
        return "too-short", f"{lines} line events, wanted are {min_lines}"
    return None


def program_split(row: Row, settings: TraceSettings) -> str:
    """Return the split of a program: a hash of its shape, so that no shape is in both."""
    place = int(hashlib.sha256(f"{settings.seed}:{row['group']}".encode()).hexdigest()[:8], 16)
    return "heldout" if place < settings.heldout_fraction * 2**32 else "train"


def select(
    rows: Iterable[Row], exception_fraction: float
) -> tuple[list[Row], list[tuple[Row, str, str]]]:
    """Sort by key, drop repeats, and hold the exceptions of functions to their quota.

    Returns the kept rows and (row, reason, detail) of the others. Runs over a whole split, so that
    the result does not depend on how the work was divided.
    """
    kept: list[Row] = []
    dropped: list[tuple[Row, str, str]] = []
    exceptions: list[Row] = []
    seen: set[Any] = set()
    for row in sorted(rows, key=lambda each: (each["key"], each["name"], each["arguments"])):
        call = (row["context"], row["arguments"]) if row["literal"] else row["key"]
        if call in seen or row["key"] in seen:
            dropped.append((row, "duplicate", "the same trace or call is there"))
            continue
        seen |= {call, row["key"]}
        is_exception = row["source"] == "function" and row["outcome"] == "exception"
        (exceptions if is_exception else kept).append(row)
    others = sum(row["source"] == "function" for row in kept)
    allowed = int(others * exception_fraction / (1 - exception_fraction))
    dropped += [
        (row, "exception-quota", f"{allowed} are allowed beside {others} others")
        for row in exceptions[allowed:]
    ]
    return sorted(kept + exceptions[:allowed], key=lambda row: str(row["key"])), dropped
