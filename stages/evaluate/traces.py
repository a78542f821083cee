"""Held-out traces: every next frame given the true history, and whole traces written freely.

Metrics (programs; functions with the suffix ``.function``): ``traces.event``, ``traces.state`` and
``traces.changed_state`` over line frames, ``traces.action`` over all frames, ``traces.value`` over
returns and exceptions; ``traces.valid_format`` over freely written traces. The first frame is
given. Observations are clustered by near-duplicate group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.trace import (
    Frame,
    Scopes,
    Step,
    Trace,
    encode_context,
    encode_step,
    entry_prompt,
    final_value,
    parse,
)
from stages.evaluate.estimate import Observation, ratio
from stages.evaluate.frames import FrameScore, Separators, changed_states, score_step
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
    return Passage(row, head, steps, changed_states(frames))


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

        def observe(
            part: Callable[[FrameScore], bool | None],
            pairs: list[tuple[str, FrameScore]] = pairs,
        ) -> Iterator[Observation]:
            for group, frame in pairs:
                if (right := part(frame)) is not None:
                    yield Observation(group, float(right))

        examples = _frame_examples(passages, scores)
        record.add(f"traces.event{suffix}", observe(lambda f: f.event))
        record.add(
            f"traces.state{suffix}",
            observe(lambda f: f.state),
            baselines={
                "copying ..": ratio(observe(lambda f: None if f.state is None else f.copied))
            },
        )
        record.add(
            f"traces.changed_state{suffix}",
            observe(lambda f: f.state if f.changed else None),
            # a changed state has a local that is not "..", so copying is never right
            baselines={"copying ..": ratio(observe(lambda f: False if f.changed else None))},
            examples=examples,
        )
        record.add(f"traces.action{suffix}", observe(lambda f: f.action))
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


def whole(row: Row) -> bool:
    """Say whether a trace begins with a call and ends by leaving it."""
    trace = Trace.from_row(row)
    return trace.whole and bool(trace.frames) and trace.frames[0].event == "call"


def entry_call(row: Row) -> Frame:
    """Return a trace's first frame."""
    return Frame.from_row(row["frames"][0])


def given_call(call: Frame, subject: Subject) -> list[int]:
    """Return the tokens of the call frame that a freely written trace starts from."""
    return encode_step(Scopes().diff(call), subject.tokenizer)


def measure_free(
    subject: Subject, record: Record, traces: Path, settings: EvaluateSettings
) -> None:
    """Add ``traces.valid_format``: the grammar is kept to the end and the entry's scope left."""
    for source, suffix in SUFFIX.items():
        rows = sample_traces(
            traces / "heldout", source, count=settings.free_traces, seed=settings.seed
        )
        asked, prompts = [], []
        for row in filter(whole, rows):
            prompt = entry_prompt(row["context"], entry_call(row), subject.tokenizer)
            truth = Trace.from_row(row)
            rest = [encode_step(s, subject.tokenizer) for s in _steps(truth)[1:]]
            # only what the true trace has room for can be asked for
            if len(prompt) + sum(map(len, rest)) < subject.context_length:
                asked.append(row)
                prompts.append(prompt)
        record.left_out[f"traces.valid_format{suffix}: too long or not whole"] += len(rows) - len(
            asked
        )
        answers = subject.answers(prompts, max_new_tokens=subject.context_length)
        parsed = [
            parse([*given_call(entry_call(row), subject), *ids], subject.tokenizer)
            for row, (ids,) in zip(asked, answers, strict=True)
        ]
        record.add(
            f"traces.valid_format{suffix}",
            [
                Observation(r["group"], float(p.complete))
                for r, p in zip(asked, parsed, strict=True)
            ],
            examples=[
                Example(
                    row["key"],
                    row["context"],
                    subject.text(ids),
                    row["result"],
                    final_value(p) == row["result"],
                    origin(row),
                )
                for row, p, (ids,) in zip(asked, parsed, answers, strict=True)
            ],
        )


def _steps(trace: Trace) -> list[Step]:
    scopes = Scopes()
    return [scopes.diff(frame) for frame in trace.frames]
