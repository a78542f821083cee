"""From recordings of tests to rows: the context gathered, long traces cut, secrets replaced."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.trace import mark_line
from stages.trace.counts import drop
from stages.trace.redacted import redact_row
from stages.trace.repository.context import Context, Place, gather
from stages.trace.repository.errors import Refused
from stages.trace.repository.runs import Folder, Traced
from stages.trace.repository.settings import RepositorySettings
from stages.trace.rows import episodes_of, trace_row, unfit
from stages.trace.settings import TraceSettings
from stages.trace.shards import Made
from stages.trace.tracer.recording import Recording, frame_rows
from stages.trace.tracer.source import file_lines

Row = dict[str, Any]
Frames = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Subject:
    """What the rows of a session have in common."""

    repository: RepositorySettings
    settings: TraceSettings
    revision: str
    licence: str
    split: str
    python: str
    folder: Folder


def rows_of(
    subject: Subject, traced: Traced, test: str, pair: str = "", side: str = ""
) -> list[Row]:
    """Return the rows of one test: its trace, or the episodes of a long one.

    Raises `Refused` when the trace is not to be kept.
    """
    value, places = _read(traced.recordings[test])
    context, row = _whole(subject, value, places, test)
    row |= {
        "pair": pair,
        "side": side,
        "sandbox": traced.layer,
        "deterministic": test in traced.deterministic,
    }
    if (reason := unfit(row, subject.settings)) is not None:
        raise Refused(*reason)
    kept = []
    for each in [row] if pair else episodes_of(row, subject.settings):
        part = _narrowed(subject, each, context) if each["episode"] else each
        if len(part["context"]) > subject.repository.max_context_chars:
            raise Refused("long-context", f"{len(part['context'])} characters")
        shown = redact_row(part)
        if shown is None:
            raise Refused("secret", "one goes over several lines of the context")
        kept.append(shown)
    return kept


def _read(text: str) -> tuple[Mapping[str, Any], list[Place]]:
    """Return a recording and where its lines stand; it may be forged."""
    value = json.loads(text)
    try:
        places = [(str(name), int(line)) for name, line in value["places"]]
    except (KeyError, TypeError, ValueError) as error:
        raise Refused("lost", f"no recording: {error!r}") from error
    if not places:
        raise Refused("lost", "nothing was recorded")
    return value, places


def _whole(
    subject: Subject, value: Mapping[str, Any], places: Sequence[Place], test: str
) -> tuple[Context, Row]:
    """Return the row of a whole trace, with the context of all that it enters."""
    sources = subject.folder.sources
    context = gather(sources, places)
    try:
        recording = Recording.from_json(value, _lines(sources, places))
    except ValueError as error:
        raise Refused("lost", str(error)) from error
    numbers = _numbers(context, places)
    recording.text = context.text
    recording.steps = [(step[0], numbers[step[1] - 1], *step[2:]) for step in recording.steps]
    frames = frame_rows(context.text, recording.steps)
    file, _, inner = test.partition("::")
    row = trace_row(
        context=_marked(context, frames),
        entry=recording.name.rpartition(".")[2],
        frames=frames,
        source="repository",
        origin=subject.repository.name,
        revision=subject.revision,
        licence=subject.licence,
        name=f"{file}:{inner.partition('[')[0].replace('::', '.')}",
        arguments=recording.arguments or "",
        literal=False,  # its context is not all that it needs to be run
        input_method="pytest",
        test=test,
        tampered=recording.tampered,
        outcome=recording.outcome,
        result=recording.result,
        group=subject.repository.name,
        split=subject.split,
        python=".".join(subject.python.split(".")[:2]),
    )
    return context, row


def _lines(sources: Mapping[str, str], places: Sequence[Place]) -> list[str]:
    """Return the lines of ``places``, which `gather` has found."""
    files = {name: file_lines(sources[name]) for name, _ in places}
    return [files[name][line - 1] for name, line in places]


def _narrowed(subject: Subject, row: Row, context: Context) -> Row:
    """Return an episode with the context of what it enters itself."""
    found = [context.places[frame["line"] - 1] for frame in row["frames"]]
    places = [place for place in found if place is not None]
    narrow = gather(subject.folder.sources, places)
    numbers = _numbers(narrow, places)
    frames = [
        {**frame, "line": number} for frame, number in zip(row["frames"], numbers, strict=True)
    ]
    rest = {name: value for name, value in row.items() if name not in ("key", "coverage")}
    return trace_row(**{**rest, "context": _marked(narrow, frames), "frames": frames})


def _numbers(context: Context, places: Sequence[Place]) -> list[int]:
    numbers = context.numbers()
    if missing := [place for place in places if place not in numbers]:
        raise Refused("no-source", f"line {missing[0][1]} of {missing[0][0]} is not shown")
    return [numbers[place] for place in places]


def _marked(context: Context, frames: Frames) -> str:
    line = frames[0]["line"]
    if context.text[line - 1].rstrip("\n").endswith("\\"):
        raise Refused("unmarkable", "the def line goes on after a backslash")
    return mark_line("".join(context.text), line)


def add(subject: Subject, traced: Traced, made: Made) -> None:
    """Add a session's rows, drops and counts to what a shard has made."""
    made.layer, made.engine = traced.layer, traced.engine or made.engine
    made.cpu_seconds.update(traced.cpu_seconds)
    made.tried["pytest"] += len(traced.outcomes)
    for test, reason, detail in traced.dropped:
        made.dropped.append(dropped(subject, test, reason, detail))
    for test in traced.recordings:
        try:
            made.rows += rows_of(subject, traced, test)
        except Refused as refused:
            made.dropped.append(dropped(subject, test, refused.reason, str(refused)))


def dropped(subject: Subject, test: str, reason: str, detail: str) -> Row:
    """Return the dropped table's row of a test, or with "" of a whole session."""
    origin = subject.repository.name
    key = f"{origin}@{subject.revision[:19]}:{test}"
    return drop(key, origin, test.partition("::")[0], reason, detail)
