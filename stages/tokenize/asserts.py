"""Functions with one assert: output prediction as plain text.

A document is the function's source, then a line ``assert f(arguments) == result``. The prompt ends
after ``==``; its tokens are the same in training and when a model is asked, alone or in a chat.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Sequence

from model.tokens import Piece, Special, Tokenizer
from model.trace import unmark
from stages.tokenize.document import Document, Rendered, Row, weigh
from stages.tokenize.settings import TokenizeSettings

COLUMNS = ("context", "entry", "arguments", "literal", "outcome", "result", "episode")
"""What is read of a trace besides its key, source and origin."""


def source_pieces(context: str) -> list[Piece]:
    """Return what precedes the assert: the context without its mark."""
    return [Special("bos"), unmark(context).rstrip("\n") + "\n"]


def question(entry: str, arguments: str) -> str:
    """Return the assert up to the result that is asked for."""
    return f"assert {entry}({arguments}) =="


def prompt_pieces(context: str, entry: str, arguments: str) -> list[Piece]:
    """Return what a model is given when it is asked for the result."""
    return [*source_pieces(context), question(entry, arguments)]


def answer_pieces(result: str) -> list[Piece]:
    """Return what a model should write after the prompt."""
    return [f" {result}\n", Special("eos")]


def why_not(row: Row) -> str:
    """Return why a trace makes no assert, as a stable word; "" when it does."""
    if row["outcome"] != "return":
        return "no-result"
    if not row["literal"]:
        return "arguments-not-literal"
    if row["episode"] != 0:
        return "later-episode"
    try:
        ast.literal_eval(row["result"])
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return "result-not-literal"
    return ""


def shows_assert(key: str, settings: TokenizeSettings) -> bool:
    """Say whether a function shows its assert: by hash, at the rate of the settings."""
    digest = hashlib.sha256(f"{settings.seed}:assert:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < settings.assert_share * 2**64


def render_asserts(
    rows: Sequence[Row], tokenizer: Tokenizer, settings: TokenizeSettings
) -> Iterator[Rendered]:
    """Yield one document for every trace with literal arguments and a literal result.

    Rows that do not show their assert (see `shows_assert`) give the source alone.
    """
    given, full = weigh(settings.context_loss_weight), weigh(1.0)
    for row in rows:
        if reason := why_not(row):
            yield Rendered(dropped=reason)
            continue
        head = source_pieces(row["context"])
        tail: list[Piece] = [Special("eos")]
        if shows_assert(row["key"], settings):
            tail = [question(row["entry"], row["arguments"]), *answer_pieces(row["result"])]
        source, line = tokenizer.encode_pieces(head), tokenizer.encode_pieces(tail)
        if len(source) + len(line) > settings.max_tokens:
            yield Rendered(dropped="too-long")
            continue
        loss = [given] * len(source) + [full] * len(line)
        yield Rendered((Document(source + line, loss),))
