"""What a loss alone tells: held-out code, the true repair of a function, an agent's turns.

Items: ``code`` and ``program`` (bits of bytes: files of the corpus, sources of generated programs),
``patch_program`` and ``patch_function`` (nats of the tokens of the changed lines, given the broken
function, what it should return and the lines before), ``trajectory`` (nats of the tokens of the
agent's turns).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stages.evaluate.subject import Subject
from stages.probe.item import Item
from stages.probe.settings import ProbeSettings
from stages.tokenize.settings import TokenizeSettings
from stages.tokenize.trajectories import render_trajectories

Row = Mapping[str, Any]


def code(subject: Subject, measure: str, texts: Mapping[str, str]) -> Iterable[Item]:
    """Measure bits per byte of ``texts`` (key → text), in windows of the context."""
    bos = subject.tokenizer.special("bos")
    ids = subject.tokenizer.encode_batch(list(texts.values()))
    nats = subject.losses([[bos, *document] for document in ids])
    for (key, text), cost in zip(texts.items(), nats, strict=True):
        yield Item(measure=measure, key=key, amount=cost / math.log(2), size=len(text.encode()))


def patches(subject: Subject, rows: Sequence[Row], settings: ProbeSettings) -> Iterable[Item]:
    """Measure the nats of a repair's changed lines."""
    named, documents = [], []
    for row in rows:
        ids, scored = [subject.tokenizer.special("bos")], [False]
        for text, counts in row["pieces"]:
            part = subject.tokenizer.encode(text)
            ids += part
            scored += [counts] * len(part)
        if len(ids) <= settings.context_length:
            named.append((f"patch_{row['source']}", row["key"]))
            documents.append((ids, scored))
    yield from _scored(subject, named, documents)


def trajectories(subject: Subject, rows: Sequence[Row], settings: ProbeSettings) -> Iterable[Item]:
    """Measure the nats of the agent's turns, the environment's given."""
    agent_alone = TokenizeSettings(
        rendering="trajectories", max_tokens=settings.context_length, observation_mask=1.0
    )
    named, documents = [], []
    rendered = render_trajectories(rows, subject.tokenizer, agent_alone)
    for row, made in zip(rows, rendered, strict=True):
        for document in made.documents:
            if len(document.ids) <= settings.context_length:
                named.append(("trajectory", row["key"]))
                documents.append((document.ids, [weight > 0 for weight in document.loss]))
    yield from _scored(subject, named, documents)


def _scored(
    subject: Subject,
    named: Sequence[tuple[str, str]],
    documents: Sequence[tuple[list[int], list[bool]]],
) -> Iterable[Item]:
    nats = subject.token_losses([ids for ids, _ in documents])
    for (measure, key), (_, scored), losses in zip(named, documents, nats, strict=True):
        costs = [c for c, counts in zip(losses.tolist(), scored[1:], strict=True) if counts]
        yield Item(measure=measure, key=key, amount=sum(costs), size=float(len(costs)))
