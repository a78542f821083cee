"""From the shards' files to the artifact's tables, with a bounded number of rows in memory.

Two passes over the shards: one reads digests alone, to decide what is kept; the other carries the
kept rows into the buckets in which they are sorted, and the others into the dropped table.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.tables import DROPPED
from stages.trace.buckets import Buckets, bucket_count
from stages.trace.counts import drop_trace
from stages.trace.selection import (
    DETAILS,
    INDEX_COLUMNS,
    REASONS,
    Index,
    Verdicts,
    make_index,
)
from stages.trace.shards import read_dropped, read_rows

SPLITS = ("train", "heldout")
_SHOWN = ["key", "origin", "name", "arguments", "context"]


def read_index(names: Iterable[str], folder: Path) -> Index:
    """Read the index of some shards."""
    return make_index(table for name in names for table in read_rows(name, folder, INDEX_COLUMNS))


def write_tables(
    names: Sequence[str],
    folder: Path,
    index: Index,
    verdicts: Verdicts,
    output: Path,
    scratch: Path,
    *,
    dropped: Iterable[Mapping[str, Any]],
    wanted: Sequence[int],
) -> list[dict[str, Any]]:
    """Write ``train``, ``heldout`` and ``dropped`` below ``output``.

    ``dropped`` are further rows of that table. Returns the rows whose places in the index are
    ``wanted``, in that order.
    """
    shutil.rmtree(scratch, ignore_errors=True)  # of an execution that was killed
    buckets = {split: _buckets(index, verdicts, split, scratch / split) for split in SPLITS}
    found: dict[int, dict[str, Any]] = {}
    start = 0
    (output / "dropped").mkdir()
    with pq.ParquetWriter(
        output / "dropped" / "00000.parquet", DROPPED, compression="zstd"
    ) as left_out:
        left_out.write_table(pa.Table.from_pylist(list(dropped), schema=DROPPED))
        for name in names:
            left_out.write_table(read_dropped(name, folder))
            for rows in read_rows(name, folder):
                verdict = verdicts[start : start + len(rows)]
                splits = np.array(rows.column("split").to_pylist())
                for split, into in buckets.items():
                    into.add(rows.filter(pa.array((verdict == 0) & (splits == split))))
                if verdict.any():
                    left_out.write_table(_left_out(rows, verdict))
                for place in wanted:
                    if start <= place < start + len(rows):
                        found[place] = rows.slice(place - start, 1).to_pylist()[0]
                start += len(rows)
    for split, into in buckets.items():
        into.write(output / split)
    return [found[place] for place in wanted]


def _buckets(index: Index, verdicts: Verdicts, split: str, folder: Path) -> Buckets:
    kept = (verdicts == 0) & index.where(lambda each: each.split == split)
    size = int(index.columns["size"][kept].sum())
    return Buckets(folder, bucket_count(int(kept.sum()), size))


def _left_out(rows: pa.Table, verdict: Verdicts) -> pa.Table:
    """Return rows of the dropped table for what selection left out."""
    places = np.flatnonzero(verdict)
    shown = rows.select(_SHOWN).take(places).to_pylist()
    found = [
        drop_trace(row, REASONS[code], DETAILS[code])
        for row, code in zip(shown, verdict[places].tolist(), strict=True)
    ]
    return pa.Table.from_pylist(found, schema=DROPPED)
