"""Sorting more traces than memory holds: by key into buckets on disk, each then sorted by itself.

The buckets' number follows from the number and the size of what is kept, so that each fits in
memory, and each becomes one file of the table.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.tables import TRACES
from stages.trace.selection import Numbers

BUCKET_BYTES = 64 << 20
"""Names and values in a bucket, about; Arrow and Parquet take a few times as much at work."""
BUCKET_ROWS = 5_000


def bucket_count(rows: int, size: int) -> int:
    """Return how many buckets ``rows`` traces of ``size`` bytes together take."""
    return max(1, -(-rows // BUCKET_ROWS), -(-size // BUCKET_BYTES))


class Buckets:
    """The kept traces of a split, in files below ``folder``, by the first bits of their keys."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._count = count
        folder.mkdir(parents=True)

    def add(self, rows: pa.Table) -> None:
        """Put rows that have `TRACES`, "key_id" and "tie" into their buckets."""
        keys: Numbers = rows.column("key_id").to_numpy()
        places = ((keys >> np.uint64(32)) * np.uint64(self._count)) >> np.uint64(32)
        kept = rows.select([*TRACES.names, "tie"])
        for place in np.unique(places).tolist():
            part = kept.take(np.flatnonzero(places == place))
            # A stream of its own for each part: no file stays open, however many there are.
            with self._file(place).open("ab") as sink, pa.ipc.new_stream(sink, part.schema) as out:
                out.write_table(part)

    def write(self, output: Path) -> None:
        """Write the table, a file for each bucket, in key order throughout; removes the buckets."""
        output.mkdir(parents=True)
        for place in range(self._count):
            parts = list(self._parts(place))
            rows = pa.concat_tables(parts) if parts else _EMPTY
            rows = rows.sort_by([("key", "ascending"), ("tie", "ascending")]).select(TRACES.names)
            file = output / f"{place:05d}.parquet"
            pq.write_table(rows.cast(TRACES), file, compression="zstd", row_group_size=1_000)
            self._file(place).unlink(missing_ok=True)
        self._folder.rmdir()

    def _parts(self, place: int) -> Iterable[pa.Table]:
        file = self._file(place)
        if not file.exists():
            return
        with file.open("rb") as source:
            end = file.stat().st_size
            while source.tell() < end:
                yield pa.ipc.open_stream(source).read_all()

    def _file(self, place: int) -> Path:
        return self._folder / f"{place:05d}.arrows"


_EMPTY = pa.schema([*TRACES, pa.field("tie", pa.uint64(), nullable=False)]).empty_table()
