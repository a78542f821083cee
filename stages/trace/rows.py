"""From recordings to rows: keys, coverage, the split, episodes, and what is not worth keeping."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from model.frames import Frame
from model.trace import mark_line
from stages.trace.candidates import Candidate
from stages.trace.episodes import cut_episodes
from stages.trace.inputs.drivers import ENTRY, with_driver
from stages.trace.programs import shape
from stages.trace.settings import TraceSettings
from stages.trace.tracer.recording import USABLE, Recording

Row = dict[str, Any]
Found = Mapping[str, Any]
"""A recording as the sandbox sent it: `Recording.to_json`, with its "method" and "digest"."""

_DEFAULTS: Row = {
    "document": "",
    "revision": "",
    "test": "",
    "pair": "",
    "side": "",
    "tampered": False,
    "deterministic": True,
    "episode": 0,
}


def trace_key(context: str, entry: str, frames: Sequence[Mapping[str, Any]]) -> str:
    """Return the sha256 over context, entry and frames, which names a trace."""
    text = json.dumps([context, entry, frames], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def coverage(frames: Sequence[Mapping[str, Any]]) -> str:
    """Return a digest of which lines were executed, however often and in whatever order."""
    lines = sorted({frame["line"] for frame in frames if frame["event"] == "line"})
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()[:16]


def values_of(frames: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the different values that frames show, as texts."""
    found: dict[str, None] = {}
    for frame in frames:
        if frame["value"] is not None:
            found[frame["value"]] = None
        for each in frame["locals"] or ():
            found[each["value"]] = None
    return list(found)


def trace_row(
    *, context: str, entry: str, frames: Sequence[Mapping[str, Any]], **columns: Any
) -> Row:
    """Return a row of `stages.tables.TRACES`; its key and coverage are computed here.

    Of the other columns those of a plain trace of generated code need not be given: "document",
    "revision", "test", "pair", "side" are empty, "episode" is 0. "split" is no column of the table.
    """
    return {
        **_DEFAULTS,
        "key": trace_key(context, entry, frames),
        "context": context,
        "entry": entry,
        "frames": frames,
        "coverage": coverage(frames),
        "python": ".".join(platform.python_version_tuple()[:2]),
        **columns,
    }


def program_row(found: Found, settings: TraceSettings, layer: str) -> Row:
    """Return the row of a generated program; its group is its shape, whatever its names."""
    source = found["source"]
    recording = Recording.from_json(found, source.splitlines(keepends=True))
    entry_line = source[: source.index(f"def {recording.name}(")].count("\n") + 1
    group = shape(source)
    return trace_row(
        context=mark_line(source, entry_line),
        entry=recording.name,
        frames=recording.frames,
        source="program",
        origin="generator",
        licence="Apache-2.0",
        name=found["program"],
        arguments=recording.arguments or "",
        literal=recording.arguments is not None,
        input_method="generated",
        tampered=recording.tampered,
        outcome=recording.outcome,
        result=recording.result,
        group=group,
        split=split_of(group, settings),
        sandbox=layer,
    )


def function_row(found: Found, candidate: Candidate, layer: str, deterministic: bool) -> Row:
    """Return the row of one call of a real function; its group is its document."""
    driver = found.get("driver", "")
    shown = with_driver(candidate.shown, driver)
    recording = Recording.from_json(found, shown.text)
    return trace_row(
        context=mark_line("".join(shown.text), shown.entry_line),
        entry=ENTRY if driver else candidate.function,
        frames=recording.frames,
        source="function",
        document=candidate.document,
        origin=candidate.origin,
        licence=candidate.licence,
        name=candidate.name,
        arguments=recording.arguments or "",
        literal=recording.arguments is not None,
        input_method=found["method"],
        tampered=recording.tampered,
        deterministic=deterministic,
        outcome=recording.outcome,
        result=recording.result,
        group=candidate.document,
        split=candidate.split,
        sandbox=layer,
    )


def split_of(group: str, settings: TraceSettings) -> str:
    """Return the split of a program's shape or of a repository, so that none is in both."""
    place = int(hashlib.sha256(f"{settings.seed}:{group}".encode()).hexdigest()[:8], 16)
    return "heldout" if place < settings.heldout_fraction * 2**32 else "train"


def episodes_of(row: Row, settings: TraceSettings) -> list[Row]:
    """Return a trace as it is, or cut into episodes when it is longer than ``episode_events``.

    The first episode is of the same call as the trace; how the others were called is not known as
    source.
    """
    if not settings.episode_events or len(row["frames"]) <= settings.episode_events:
        return [row]
    episodes = cut_episodes(
        map(Frame.from_row, row["frames"]),
        depth=settings.episode_depth,
        step_in=settings.step_in,
        events=settings.episode_events,
        seed=f"{settings.seed}:{row['key']}",
    )
    rows = []
    for place, episode in enumerate(episodes, 1):
        outcome, result = episode.ending
        inner: Row = {}
        if place > 1:
            module = row["name"].partition(":")[0]
            inner = {"name": f"{module}:{episode.name}", "arguments": "", "literal": False}
        changed = {"outcome": outcome, "result": result, "episode": place, **inner}
        rest = {name: value for name, value in row.items() if name not in ("key", "coverage")}
        whole = {
            "context": episode.context(row["context"]),
            "entry": episode.name or row["entry"],
            "frames": [frame.to_row() for frame in episode.frames],
        }
        rows.append(trace_row(**{**rest, **changed, **whole}))
    return rows


def unfit(row: Row, settings: TraceSettings) -> tuple[str, str] | None:
    """Return why a single trace is not kept, or None."""
    if row["outcome"] == "call-budget":
        return "call-budget", "its callees, which are stepped over, make too many calls"
    if row["tampered"] and not settings.keep_flagged:
        return "tampered", "the program meddled with tracing"
    if row["outcome"] not in USABLE:
        return "lost", "the stack ran out, or tracing was ended by the program"
    if not _is_text(row):
        return "not-text", "a value has half of a surrogate pair, which no file can hold"
    if not row["deterministic"] and not settings.keep_flagged:
        return "nondeterministic", "two executions differ"
    lines = sum(frame["event"] == "line" for frame in row["frames"])
    if lines < settings.min_lines:
        return "too-short", f"{lines} line events, wanted are {settings.min_lines}"
    return None


def _is_text(row: Row) -> bool:
    """Say whether what the program showed can be written: a ``__repr__`` may return anything."""
    try:
        "".join([row["arguments"], row["result"], *values_of(row["frames"])]).encode()
    except UnicodeEncodeError:
        return False
    return True
