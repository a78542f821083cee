"""Source files as documents: begin of text, the file, end of text; the loss sees all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from model.tokens import Tokenizer
from stages.tokenize.document import Document, Rendered, Row, weigh
from stages.tokenize.settings import TokenizeSettings


def render_code(
    rows: Sequence[Row], tokenizer: Tokenizer, settings: TokenizeSettings
) -> Iterator[Rendered]:
    """Yield every document of the batch whole, however long."""
    bos, eos = tokenizer.special("bos"), tokenizer.special("eos")
    for body in tokenizer.encode_batch([row["text"] for row in rows]):
        ids = [bos, *body, eos]
        yield Rendered((Document(ids, [weigh(1.0)] * len(ids)),))
