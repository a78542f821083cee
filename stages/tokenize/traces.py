"""Traces as documents in CWM's grammar, long ones as episodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from model.frames import Trace
from model.tokens import Tokenizer
from model.trace import encode_context
from stages.tokenize.document import Document, Rendered, Row, weigh
from stages.tokenize.episodes import Episode, cut
from stages.tokenize.settings import TokenizeSettings


def render_traces(
    rows: Sequence[Row], tokenizer: Tokenizer, settings: TokenizeSettings
) -> Iterator[Rendered]:
    """Yield the episodes of every trace.

    Drops: "context-too-long" and "frame-too-long" when nothing is left, "cut" when frames of the
    trace are in no episode.
    """
    for row in rows:
        yield render_trace(Trace.from_row(row), tokenizer, settings)


def render_trace(trace: Trace, tokenizer: Tokenizer, settings: TokenizeSettings) -> Rendered:
    """Render one trace: each document is the context and as many frames as fit."""
    context = encode_context(trace.context, tokenizer)
    room = settings.max_tokens - len(context) - 1  # the end of text
    episodes = cut(
        trace.frames,
        room=room,
        most=settings.max_episodes,
        shortest=settings.min_frames,
        tokenizer=tokenizer,
    )
    shown = sum(episode.end - episode.start for episode in episodes)
    whole = len(episodes) == 1 and shown == len(trace.frames)
    if not whole and len(context) > settings.context_share * settings.max_tokens:
        return Rendered(dropped="context-too-long")
    if not episodes:
        return Rendered(dropped="frame-too-long")
    documents = tuple(_document(trace, context, e, tokenizer, settings) for e in episodes)
    return Rendered(documents, dropped="" if shown == len(trace.frames) else "cut")


def _document(
    trace: Trace,
    context: list[int],
    episode: Episode,
    tokenizer: Tokenizer,
    settings: TokenizeSettings,
) -> Document:
    given = weigh(settings.context_loss_weight)
    full = weigh(1.0)
    # the frame that starts an episode comes from nowhere: it is given, like the context
    first = [given] * episode.given
    rest = [full] * (len(episode.ids) - episode.given)
    # a trace that goes on must not teach that it ends here
    ends = trace.whole and episode.end == len(trace.frames)
    ids = [*context, *episode.ids, tokenizer.special("eos")]
    loss = [given] * len(context) + first + rest + [full if ends else 0]
    return Document(ids, loss)
