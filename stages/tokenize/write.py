"""Write a token file whose documents are in the order of their rows' keys."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from model.tokens import Tokenizer
from stages.tokenize.counts import Counts
from stages.tokenize.document import Row
from stages.tokenize.settings import TokenizeSettings
from stages.tokenize.source import Source
from stages.training.token_file import TokenFile, TokenWriter

log = logging.getLogger(__name__)

BATCH = 64
"""Rows rendered at once: enough to keep the tokenizer's threads busy."""

LOG_SECONDS = 5.0


def batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield ``rows`` in lists of `BATCH`."""
    rest = iter(rows)
    while batch := list(islice(rest, BATCH)):
        yield batch


def write_unordered(
    folder: Path,
    rows: Iterable[Row],
    source: Source,
    tokenizer: Tokenizer,
    settings: TokenizeSettings,
) -> tuple[Counts, list[str]]:
    """Render ``rows`` as they come; return the counts and the row's key of every document."""
    counts, keys = Counts(settings.max_tokens), list[str]()
    writer = TokenWriter(folder)
    start = last = time.monotonic()
    for batch in batches(rows):
        rendered = source.render(batch, tokenizer, settings)
        for row, made in zip(batch, rendered, strict=True):
            for document in made.documents:
                writer.add(document.ids, document.loss, row[source.key])
                keys.append(row[source.key])
            counts.add(
                made.documents,
                group=row[source.group],
                origin=row["origin"],
                dropped=made.dropped,
            )
        if time.monotonic() - last > LOG_SECONDS:
            last = time.monotonic()
            rate = counts.total["tokens"] / (last - start)
            log.info(
                "%d rows, %d documents, %d tokens (%.0f/s)",
                *(counts.total[name] for name in ("rows", "documents", "tokens")),
                rate,
            )
    writer.close({"vocab_size": tokenizer.vocab_size})
    return counts, keys


def write_tokens(
    folder: Path,
    rows: Iterable[Row],
    source: Source,
    tokenizer: Tokenizer,
    settings: TokenizeSettings,
    scratch: Path,
) -> Counts:
    """Write the token file of ``rows`` to ``folder``; what a row gives keeps its order."""
    counts, keys = write_unordered(scratch, rows, source, tokenizer, settings)
    unordered, writer = TokenFile(scratch), TokenWriter(folder)
    for index in sorted(range(len(keys)), key=lambda i: keys[i]):
        ids, loss = unordered[index]
        writer.add(ids.tolist(), loss.tolist(), keys[index])
    meta = {
        "rendering": settings.rendering,
        "vocab_size": tokenizer.vocab_size,
        "bytes": text_bytes(unordered, tokenizer),
        "max_tokens": settings.max_tokens,
        "counts": counts.statistics(),
        "origins": counts.by_origin(),
    }
    writer.close(meta)
    for file in scratch.iterdir():
        file.unlink()
    return counts


def text_bytes(file: TokenFile, tokenizer: Tokenizer) -> int:
    """Return the UTF-8 bytes of the text in a token file; special tokens hold none."""
    sizes = np.zeros(tokenizer.vocab_size, dtype=np.int64)
    regular = range(tokenizer.regular_size)
    sizes[: tokenizer.regular_size] = [len(tokenizer.token_bytes(token)) for token in regular]
    return int(sum(sizes[file[index][0]].sum() for index in range(len(file))))
