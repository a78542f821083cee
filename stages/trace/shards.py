"""A shard: the unit of the stage's work, made by one worker and kept in one folder.

A finished shard is three files, named after it: its rows and what it left out as Parquet, and its
counts as JSON. The counts are written last, and every file under another name first, so that a
worker that is killed leaves no half of a shard; whoever runs the step again skips what is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from cluster.dag.files import write_json
from stages.tables import DROPPED, TRACES
from stages.trace.selection import SELECTION, selection_columns

Row = dict[str, Any]

SHARD_ROWS = pa.schema([*TRACES, *SELECTION])
"""A row of a shard: a trace, its split, and the digests that selection goes by."""

_ROWS, _DROPPED, _COUNTS = ".rows.parquet", ".dropped.parquet", ".json"
_ROW_GROUP = 256
"""Rows that a reader has in memory at once; they may be some MB each."""

FIRST_MEMORY, SECOND_MEMORY = {"MALLOC_PERTURB_": "85"}, {"MALLOC_PERTURB_": "106"}
"""Environments of the two executions that are compared: glibc fills memory that nobody wrote yet
with this byte, which is what ``numpy.empty`` shows."""
PROCESSES = 512
"""Of a sandbox: some distributions start dozens of threads when they are imported."""


@dataclass(kw_only=True, slots=True)
class Made:
    """What a shard came to.

    ``rows`` are of `stages.tables.TRACES`, each with its "split" besides; ``dropped`` of
    `stages.tables.DROPPED`. ``tried`` counts inputs by the method that got them, ``cpu_seconds``
    is what each method cost, "check" being the second execution.
    """

    rows: list[Row] = field(default_factory=list)
    dropped: list[Row] = field(default_factory=list)
    tried: Counter[str] = field(default_factory=Counter)
    cpu_seconds: Counter[str] = field(default_factory=Counter)
    engine: str = ""
    layer: str = ""

    def spend(self, method: str, seconds: float) -> None:
        """Add CPU seconds to a method's."""
        self.cpu_seconds[method] += seconds  # type: ignore[assignment]  # counters count floats too


class Shard(Protocol):
    """Some of the stage's work. It is pickled on its way to a worker."""

    @property
    def name(self) -> str:
        """What is in it, and a digest of that: the same for any number of workers."""

    def trace(self) -> Made:
        """Do the work in a sandbox; the same shard comes to the same rows every time."""


@dataclass(kw_only=True, slots=True)
class Counts:
    """What a finished shard says of itself; see `Made`. ``valid`` counts rows by method."""

    name: str
    rows: int
    frames: int
    tried: Counter[str]
    valid: Counter[str]
    cpu_seconds: Counter[str]
    dropped: Counter[str]
    engine: str
    layer: str
    worker_seconds: float = 0.0
    """CPU seconds of the actor that made it, beside its sandboxes'."""


def digest(value: Any) -> str:
    """Return what a shard's name ends with: 16 digits for what is in it, a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def make_shard(shard: Shard, folder: Path) -> Counts:
    """Do a shard's work and keep it in ``folder``."""
    made = shard.trace()
    rows = [{**row, **selection_columns(row)} for row in made.rows]
    _write(folder / f"{shard.name}{_ROWS}", rows, SHARD_ROWS)
    _write(folder / f"{shard.name}{_DROPPED}", made.dropped, DROPPED)
    counts = {
        "name": shard.name,
        "rows": len(rows),
        "frames": sum(len(row["frames"]) for row in rows),
        "tried": made.tried,
        "valid": Counter(row["input_method"] for row in rows),
        "cpu_seconds": made.cpu_seconds,
        "dropped": Counter(row["reason"] for row in made.dropped),
        "engine": made.engine,
        "layer": made.layer,
    }
    write_json(folder / f"{shard.name}{_COUNTS}", counts)
    return _counts(counts)


def _write(file: Path, rows: list[Row], schema: pa.Schema) -> None:
    """Write a Parquet file that is either whole and on disk, or not there under its name."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    with temporary.open("wb") as stream:
        with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
            for start in range(0, max(1, len(rows)), _ROW_GROUP):
                part = pa.Table.from_pylist(rows[start : start + _ROW_GROUP], schema=schema)
                writer.write_table(part)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)


def _counts(value: Row) -> Counts:
    counters: dict[str, Counter[str]] = {
        name: Counter(value[name]) for name in ("tried", "valid", "cpu_seconds", "dropped")
    }
    return Counts(**{**value, **counters})


def finished(name: str, folder: Path) -> Counts | None:
    """Return the counts of a shard that is there, None when it is still to be made."""
    try:
        return _counts(json.loads((folder / f"{name}{_COUNTS}").read_text()))
    except FileNotFoundError:
        return None


def sweep(folder: Path, names: Iterable[str]) -> None:
    """Remove what killed workers left, and shards that are none of ``names``.

    Those were cut for another placement; what they hold is in others now.
    """
    wanted = {f"{name}{suffix}" for name in names for suffix in (_ROWS, _DROPPED, _COUNTS)}
    for file in folder.iterdir():
        if file.name not in wanted:
            file.unlink()


def read_rows(name: str, folder: Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Yield a shard's rows in their order, a bounded number at a time."""
    with pq.ParquetFile(folder / f"{name}{_ROWS}") as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns=columns)


def read_dropped(name: str, folder: Path) -> pa.Table:
    """Return what a shard left out."""
    return pq.read_table(folder / f"{name}{_DROPPED}")
