"""Held-out traces that the model writes to their end, from the call frame on.

``traces.valid_format`` (functions: ``.function``): the grammar is kept, an end token comes, and the
last frame leaves the entry's scope. Only traces that fit the context are asked for.
"""

from __future__ import annotations

from pathlib import Path

from model.frames import Frame, Scopes, Trace, diff
from model.trace import encode_step, encode_steps, entry_prompt, final_value, parse
from stages.evaluate.estimate import Observation
from stages.evaluate.record import Example, Record
from stages.evaluate.settings import EvaluateSettings
from stages.evaluate.subject import Subject
from stages.evaluate.traces import SUFFIX, Row, origin, sample_traces


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
        asked = [row for row in rows if whole(row) and _fits(row, subject)]
        record.left_out[f"traces.valid_format{suffix}: too long or not whole"] += len(rows) - len(
            asked
        )
        prompts = [
            entry_prompt(row["context"], entry_call(row), subject.tokenizer) for row in asked
        ]
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


def _fits(row: Row, subject: Subject) -> bool:
    """Say whether the true trace and its end token fit the context."""
    call = entry_call(row)
    prompt = entry_prompt(row["context"], call, subject.tokenizer)
    rest = encode_steps(diff(Trace.from_row(row).frames)[1:], subject.tokenizer)
    return len(prompt) + len(rest) < subject.context_length
