"""Traces that are followed by their assert: what ran, then what it showed.

A document is a whole trace in CWM's grammar and, after its last frame, the line
``assert f(arguments) == result`` of `stages.tokenize.asserts`. It ties the two forms in which a
result is written: the value of the last frame and the answer after ``==``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from model.frames import Trace, diff
from model.tokens import Tokenizer
from model.trace import encode_context, encode_steps
from stages.tokenize.asserts import answer_pieces, question, why_not
from stages.tokenize.document import Document, Rendered, Row, weigh
from stages.tokenize.settings import TokenizeSettings


def render_traced_asserts(
    rows: Sequence[Row], tokenizer: Tokenizer, settings: TokenizeSettings
) -> Iterator[Rendered]:
    """Yield one document for every whole trace that makes an assert and fits the context.

    Drops: the reasons of `stages.tokenize.asserts.why_not`, "not-whole" and "too-long".
    """
    for row in rows:
        yield _rendered(row, tokenizer, settings)


def _rendered(row: Row, tokenizer: Tokenizer, settings: TokenizeSettings) -> Rendered:
    if reason := why_not(row):
        return Rendered(dropped=reason)
    trace = Trace.from_row(row)
    if not trace.whole:
        return Rendered(dropped="not-whole")
    steps = diff(trace.frames)
    line = [question(row["entry"], row["arguments"]), *answer_pieces(row["result"])]
    # the first frame is given when a model is asked to write a trace, like the context
    head = encode_context(trace.context, tokenizer) + encode_steps(steps[:1], tokenizer)
    rest = encode_steps(steps[1:], tokenizer) + tokenizer.encode_pieces(line)
    if len(head) + len(rest) > settings.max_tokens:
        return Rendered(dropped="too-long")
    given, full = weigh(settings.context_loss_weight), weigh(1.0)
    return Rendered((Document(head + rest, [given] * len(head) + [full] * len(rest)),))
