"""The training data of a stage: what its mix draws from, and which documents it saw."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stages.training.mix import shares_of, used
from stages.training.rows import Rows
from stages.training.settings import TrainingSettings
from stages.training.source import Source
from stages.training.token_file import TokenFile


def open_rows(settings: TrainingSettings, folders: Mapping[str, Path]) -> Rows:
    """Return the packed rows of a stage in order; ``folders`` holds the mix's token files.

    Raises `TokenFileError` for a torn file, `EmptySourceError` for a data set without a document
    that fits, `EmptyBucketError` and `MixError`.
    """
    sources = [
        Source(TokenFile(folders[entry.dataset]), entry, settings.context_length)
        for entry in used(settings.mix)
    ]
    room = float(settings.steps * settings.tokens_per_step)
    rows = _rows(settings, sources, room)
    if any(entry.epochs for entry in settings.mix):
        # a stage's tokens are not known before its rows are packed: how full they are depends, a
        # little, on the shares
        rows = _rows(settings, sources, room * rows.fill)
    return rows


def _rows(settings: TrainingSettings, sources: list[Source], stage_tokens: float) -> Rows:
    tokens = {source.name: source.tokens for source in sources}
    shares = shares_of(settings.mix, settings.groups, tokens, stage_tokens)
    return Rows(
        sources,
        [shares[source.name] for source in sources],
        seed=settings.seed,
        row_tokens=settings.row_tokens,
        buckets=settings.buckets,
    )
