"""Traces in words: a function, a question about its result, what happens step by step, the result.

Only what can be checked is rendered: the call and its result are literals, and the output that the
words end with is the recorded one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from model.frames import Trace
from model.tokens import Special, Tokenizer
from stages.tokenize.asserts import question, source_pieces, why_not
from stages.tokenize.document import Document, Rendered, Row, weigh
from stages.tokenize.settings import TokenizeSettings
from stages.trace.renderings.prose import check, prose


def render_prose(
    rows: Sequence[Row], tokenizer: Tokenizer, settings: TokenizeSettings
) -> Iterator[Rendered]:
    """Yield one document for every trace whose result an assert could state.

    Drops what asserts drop, with their reasons, and as "unchecked" a result that was shortened.
    """
    given, full = weigh(settings.context_loss_weight), weigh(1.0)
    for row in rows:
        if reason := why_not(row):
            yield Rendered(dropped=reason)
            continue
        trace = Trace.from_row(row)
        text = prose(trace, f"{settings.seed}:{row['key']}")
        if not check(text, trace):
            yield Rendered(dropped="unchecked")
            continue
        asked = question(row["entry"], row["arguments"]) + " ??\n"
        head = tokenizer.encode_pieces([*source_pieces(row["context"]), asked])
        tail = tokenizer.encode_pieces([text, Special("eos")])
        if len(head) + len(tail) > settings.max_tokens:
            yield Rendered(dropped="too-long")
            continue
        yield Rendered((Document(head + tail, [given] * len(head) + [full] * len(tail)),))
