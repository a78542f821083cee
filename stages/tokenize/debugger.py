"""Traces as sessions with a debugger; the loss sees the states, not what the debugger was told."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from model.frames import Trace
from model.tokens import Tokenizer
from model.trace import encode_context
from stages.tokenize.document import Document, Rendered, Row, weigh
from stages.tokenize.settings import TokenizeSettings
from stages.trace.renderings.debugger import (
    Session,
    end_pieces,
    sample_session,
    session_states,
)
from stages.trace.renderings.tree import suspends


def render_debugger(
    rows: Sequence[Row], tokenizer: Tokenizer, settings: TokenizeSettings
) -> Iterator[Rendered]:
    """Yield one session of every trace, cut where the context is full.

    Drops: "suspends", a generator as the entry, which is left and goes on; "context-too-long" and
    "frame-too-long" when nothing is left; "cut" when a session has more states than fit.
    """
    for row in rows:
        trace = Trace.from_row(row)
        if suspends(trace.frames):
            yield Rendered(dropped="suspends")
            continue
        chance = random.Random(f"{settings.seed}:{row['key']}")
        back = chance.random() < settings.inverse_sessions and trace.whole
        session = sample_session(trace, chance.random().hex(), back=back)
        yield _render(trace, session, tokenizer, settings)


def _render(
    trace: Trace, session: Session, tokenizer: Tokenizer, settings: TokenizeSettings
) -> Rendered:
    given, full = weigh(settings.context_loss_weight), weigh(1.0)
    ids = encode_context(trace.context, tokenizer)
    fills_much = len(ids) > settings.context_share * settings.max_tokens
    loss = [given] * len(ids)
    end = tokenizer.encode_pieces(end_pieces(session)) or [tokenizer.special("eos")]
    room = settings.max_tokens - len(ids) - len(end)
    states = session_states(trace, session)
    shown = 0
    for state, told in states:
        body, action = tokenizer.encode_pieces(state), tokenizer.encode_pieces(told)
        room -= len(body) + len(action)
        if room < 0:
            break
        # the first state comes from nowhere, and an action from whoever debugs
        ids += body + action
        loss += [full if shown else given] * len(body) + [given] * len(action)
        shown += 1
    whole = shown == len(states)
    if not whole and fills_much:
        return Rendered(dropped="context-too-long")
    if not whole and shown < settings.min_frames:
        return Rendered(dropped="frame-too-long")
    if whole and end_pieces(session):
        return Rendered((Document(ids + end, loss + [full] * len(end)),))
    # a session that goes on must not teach that it ends here
    document = Document([*ids, tokenizer.special("eos")], [*loss, 0])
    return Rendered((document,), dropped="" if whole else "cut")
