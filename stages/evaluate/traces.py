"""Held-out traces: every next frame, given the true history.

Metrics (programs; functions with the suffix ``.function``): ``traces.event``, ``traces.state`` and
``traces.changed_state`` over line frames, ``traces.action`` over all frames, ``traces.value`` over
returns and exceptions. The first frame is given. Observations are clustered by near-duplicate
group.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.frames import Scopes, Step, Trace
from model.trace import encode_context, encode_step
from stages.evaluate.estimate import Estimate, Observation, ratio
from stages.evaluate.frames import (
    FrameScore,
    Separators,
    changed_states,
    score_step,
    straight_on,
)
from stages.evaluate.record import Example, Record
from stages.evaluate.settings import EvaluateSettings
from stages.evaluate.subject import Subject
from stages.tables import read_table
from stages.tokenize.episodes import next_episode
from stages.tokenizer.sample import sample_by_hash

SUFFIX = {"program": "", "function": ".function"}
"""What a metric's name ends with, by the source of the code."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Passage:
    """What is scored of one trace: the context and the frames that fit beside it, as tokens."""

    row: Row
    head: list[int]
    steps: list[tuple[Step, list[int]]]
    changed: list[bool]
    straight: list[bool]

    @property
    def ids(self) -> list[int]:
        """All tokens: the context, then the steps."""
        return self.head + [i for _, ids in self.steps for i in ids]


def sample_traces(folder: Path, source: str, *, count: int, seed: int) -> list[Row]:
    """Return ``count`` rows of a traces table, by hash of their keys."""
    rows = (row for row in read_table(folder) if row["source"] == source)
    return sample_by_hash(((row["key"], row, 1) for row in rows), budget=count, seed=seed)


def passage(row: Row, subject: Subject) -> Passage | None:
    """Return the first run of frames that fits the context; None when no two frames do."""
    trace = Trace.from_row(row)
    head = encode_context(trace.context, subject.tokenizer)
    room = subject.context_length - len(head)
    episode = next_episode(trace.frames, 0, room=room, tokenizer=subject.tokenizer)
    if episode is None or episode.end - episode.start < 2:
        return None
    frames = trace.frames[episode.start : episode.end]
    scopes = Scopes()
    steps = [(step := scopes.diff(f), encode_step(step, subject.tokenizer)) for f in frames]
    return Passage(row, head, steps, changed_states(frames), straight_on(frames))


def score(passages: Sequence[Passage], subject: Subject) -> list[list[FrameScore]]:
    """Score every frame but the first of each passage."""
    marks = Separators(
        subject.tokenizer.special("action_sep"), subject.tokenizer.special("arg_sep")
    )
    found = []
    for one, hits in zip(passages, subject.hits([p.ids for p in passages]), strict=True):
        place = len(one.head) - 1  # hits start at the second token
        scores = []
        for (step, ids), changed in zip(one.steps, one.changed, strict=True):
            part = hits[place : place + len(ids)]
            scores.append(score_step(ids, part, step, marks, changed=changed))
            place += len(ids)
        found.append(scores[1:])
    return found


def measure_frames(
    subject: Subject, record: Record, traces: Path, settings: EvaluateSettings
) -> None:
    """Add the metrics of single frames."""
    for source, suffix in SUFFIX.items():
        rows = sample_traces(
            traces / "heldout", source, count=settings.frame_traces, seed=settings.seed
        )
        passages = [found for row in rows if (found := passage(row, subject))]
        record.left_out[f"traces.frames{suffix}: too long"] += len(rows) - len(passages)
        scores = score(passages, subject)
        pairs = [
            (one.row["group"], frame)
            for one, frames in zip(passages, scores, strict=True)
            for frame in frames
        ]
        _add_metrics(record, suffix, pairs, _guesses(passages), _frame_examples(passages, scores))


def _guesses(passages: Sequence[Passage]) -> dict[str, dict[str, Estimate | None]]:
    """Return how often an event is ``line``, and an action the next line of the source."""
    events, actions = [], []
    for one in passages:
        group = one.row["group"]
        events += [Observation(group, float(step.event == "line")) for step, _ in one.steps[1:]]
        actions += [Observation(group, float(right)) for right in one.straight[1:]]
    return {"event": {"always a line": ratio(events)}, "action": {"the next line": ratio(actions)}}


def _add_metrics(
    record: Record,
    suffix: str,
    pairs: Sequence[tuple[str, FrameScore]],
    guesses: dict[str, dict[str, Estimate | None]],
    examples: list[Example],
) -> None:
    """Add the metrics of frames, each given with its group."""

    def observe(part: Callable[[FrameScore], bool | None]) -> list[Observation]:
        parts = ((group, part(frame)) for group, frame in pairs)
        return [Observation(group, float(right)) for group, right in parts if right is not None]

    copied = observe(lambda f: None if f.state is None else f.copied)
    # a changed state has a local that is not "..", so copying is never right
    never = observe(lambda f: False if f.changed and f.state is not None else None)
    record.add(f"traces.event{suffix}", observe(lambda f: f.event), baselines=guesses["event"])
    record.add(
        f"traces.state{suffix}",
        observe(lambda f: f.state),
        baselines={"copying ..": ratio(copied)},
    )
    record.add(
        f"traces.changed_state{suffix}",
        observe(lambda f: f.state if f.changed else None),
        baselines={"copying ..": ratio(never)},
        examples=examples,
    )
    record.add(f"traces.action{suffix}", observe(lambda f: f.action), baselines=guesses["action"])
    record.add(f"traces.value{suffix}", observe(lambda f: f.value))


def _frame_examples(
    passages: Sequence[Passage], scores: Sequence[Sequence[FrameScore]]
) -> list[Example]:
    """One changed line frame of each trace: the true locals, and whether they were predicted."""
    found = []
    for one, frames in zip(passages, scores, strict=True):
        for (step, _), (before, _), frame in zip(
            one.steps[1:], one.steps[:-1], frames, strict=True
        ):
            if frame.changed and frame.state is not None:
                verdict = "as in truth" if frame.state else "another state"
                found.append(
                    Example(
                        one.row["key"],
                        f"{one.row['context']}\n… after {before.source.strip()}",
                        verdict,
                        str(dict(step.locals or ())),
                        frame.state,
                        origin(one.row),
                    )
                )
                break
    return found


def origin(row: Row) -> dict[str, str]:
    """Return where a trace comes from."""
    return {name: row[name] for name in ("document", "origin", "licence", "name")}
