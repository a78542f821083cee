"""What a call returns: answered directly, and by writing the trace; and single frames of it.

Items: ``direct``, ``by_trace`` (right or not), ``state``, ``changed_state``, ``action`` and
``value`` (frames that are right given the true frames before them, of all such frames of a trace).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from model.chat import decode_answer
from model.frames import Frame
from model.tokens import Tokenizer
from model.trace import entry_prompt, final_value, parse
from stages.evaluate.frames import FrameScore
from stages.evaluate.free_traces import given_call
from stages.evaluate.outputs import line_ends
from stages.evaluate.subject import Subject
from stages.evaluate.traces import passage, score
from stages.probe.item import Item
from stages.probe.settings import ProbeSettings
from stages.tasks.verify import same_value
from stages.tokenize.asserts import prompt_pieces

Row = Mapping[str, Any]

_PARTS: Mapping[str, Callable[[FrameScore], bool | None]] = {
    "state": lambda f: f.state,
    "changed_state": lambda f: f.state if f.changed else None,
    "action": lambda f: f.action,
    "value": lambda f: f.value,
}


def tags(row: Row) -> tuple[str, ...]:
    """Return the subsets that a question belongs to."""
    kind = {"'": "string", '"': "string"}.get(row["result"][:1], "number")
    known = {
        "argument" if row["equals_argument"] else "not_argument": True,
        "twin" if row["twin"] else "no_twin": True,
        kind: True,
    }
    return tuple(known)


def direct(subject: Subject, rows: Sequence[Row], settings: ProbeSettings) -> Iterable[Item]:
    """Ask for what follows ``assert f(arguments) ==``; greedy."""
    encode = subject.tokenizer.encode_pieces
    prompts = [encode(prompt_pieces(r["context"], r["entry"], r["arguments"])) for r in rows]
    room = settings.context_length - settings.output_tokens
    asked = [(row, p) for row, p in zip(rows, prompts, strict=True) if len(p) < room]
    answers = subject.answers(
        [prompt for _, prompt in asked],
        max_new_tokens=settings.output_tokens,
        stop_ids=line_ends(subject),
    )
    for (row, _), (ids,) in zip(asked, answers, strict=True):
        text = decode_answer(ids, subject.tokenizer).split("\n")[0].strip()
        right = same_value(text, row["result"])
        yield Item(
            measure="direct", key=row["key"], amount=float(right), tags=tags(row), answer=text
        )


def by_trace(subject: Subject, rows: Sequence[Row], settings: ProbeSettings) -> Iterable[Item]:
    """Let the model write the trace from the call frame on; its last value is the answer."""
    calls = [Frame.from_row(row["frames"][0]) for row in rows]
    prompts = [
        entry_prompt(row["context"], call, subject.tokenizer)
        for row, call in zip(rows, calls, strict=True)
    ]
    asked = [
        (row, call, prompt)
        for row, call, prompt in zip(rows, calls, prompts, strict=True)
        if len(prompt) < settings.context_length
    ]
    answers = subject.answers(
        [prompt for *_, prompt in asked], max_new_tokens=settings.context_length
    )
    for (row, call, _), (ids,) in zip(asked, answers, strict=True):
        given = given_call(call, subject)
        value = final_value(parse([*given, *trace_part(ids, subject.tokenizer)], subject.tokenizer))
        right = value is not None and same_value(value, row["result"])
        yield Item(
            measure="by_trace",
            key=row["key"],
            amount=float(right),
            tags=tags(row),
            answer=value or "",
        )


def trace_part(ids: Sequence[int], tokenizer: Tokenizer) -> list[int]:
    """Return what was written up to the last frame's end, and an end of text: an assert may follow
    a trace.
    """
    end = tokenizer.special("frame_sep")
    last = max((place for place, token in enumerate(ids) if token == end), default=-1)
    return [*ids[: last + 1], tokenizer.special("eos")]


def frames(subject: Subject, rows: Sequence[Row]) -> Iterable[Item]:
    """Score every frame given the true ones before it; one item for a trace and part."""
    passages = [found for row in rows if (found := passage(dict(row), subject))]
    for one, scores in zip(passages, score(passages, subject), strict=True):
        for name, part in _PARTS.items():
            known = [right for frame in scores if (right := part(frame)) is not None]
            if known:
                yield Item(
                    measure=name,
                    key=one.row["key"],
                    amount=float(sum(known)),
                    size=float(len(known)),
                    tags=tags(one.row),
                )
