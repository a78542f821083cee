"""Tokenise the training split, and a sample of the held-out split beside it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from cluster.dag.metrics import write_statistics
from cluster.dag.stage import StepContext
from model.tokens import Tokenizer
from stages.tokenize.document import Row
from stages.tokenize.settings import TokenizeSettings
from stages.tokenize.source import Source, source_of
from stages.tokenize.write import write_tokens
from stages.tokenizer.sample import sample_by_hash

log = logging.getLogger(__name__)


def run(context: StepContext) -> None:
    """Write the token file, ``heldout/`` and the counts."""
    settings: TokenizeSettings = context.settings
    tokenizer = Tokenizer.load(context.inputs["tokenizer"].path)
    given = context.inputs["source"]
    source = source_of(settings.rendering, given)
    train = _rows(source, given.path, "train", settings)
    rows = ((row[source.key], row, 1) for row in _rows(source, given.path, "heldout", settings))
    heldout = sample_by_hash(rows, budget=settings.heldout_rows, seed=settings.seed)
    scratch = context.scratch / "unordered"
    counts = write_tokens(context.output, train, source, tokenizer, settings, scratch)
    log.info("%s: %s", settings.rendering, counts.statistics())
    seen = write_tokens(context.output / "heldout", heldout, source, tokenizer, settings, scratch)
    statistics = counts.statistics() | {
        f"heldout.{name}": seen.total[name] for name in ("rows", "documents", "tokens")
    }
    write_statistics(context.statistics_file, statistics)


def _rows(source: Source, folder: Path, split: str, settings: TokenizeSettings) -> Iterator[Row]:
    for row in source.rows(folder, split):
        if not settings.groups or row[source.group] in settings.groups:
            yield row
