"""The row formats that stages exchange, and the digest of a table.

One schema per kind of row, checked at publishing. A table is a directory of Parquet shards. Its
digest is taken over its rows in key order, without the columns that only say when or where, so that
neither shard layout nor the order in which a runner happened to write changes it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


class TableError(ValueError):
    """A table breaks its contract; says which file, which column and what was expected."""


DOCUMENTS = pa.schema(
    [
        pa.field("sha256", pa.string(), nullable=False),  # of the UTF-8 text; the key
        pa.field(
            "blob", pa.string(), nullable=False
        ),  # git blob sha1; gives the SWHID swh:1:cnt:<blob>
        pa.field("text", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),  # stdlib | installed | …
        pa.field("origin", pa.string(), nullable=False),  # distribution or repository
        pa.field("revision", pa.string(), nullable=False),  # version or commit
        pa.field("path", pa.string(), nullable=False),
        pa.field("licence", pa.string(), nullable=False),  # SPDX expression
        pa.field("licence_method", pa.string(), nullable=False),  # how it was found
        pa.field("fetched_at", pa.string(), nullable=False),  # ISO 8601; not content
    ]
)
"""A source file. Primary key: (origin, path) in crawl's output, sha256 in curate's."""

DROPPED = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field(
            "reason", pa.string(), nullable=False
        ),  # one of a few stable words: "no-licence", "near-duplicate"
        pa.field("detail", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
    ]
)
"""Something left out, and why. Every stage that drops keeps these beside what it kept."""

FRAME = pa.struct(
    [
        pa.field("event", pa.string(), nullable=False),  # call | line | return | exception
        pa.field("line", pa.int32(), nullable=False),  # 1-based line in the context
        pa.field("source", pa.string(), nullable=False),  # the physical line, with its newline
        # every local as (name, repr), always the full values; diffing is done at rendering. None
        # for return/exception
        pa.field("locals", pa.list_(pa.struct([("name", pa.string()), ("value", pa.string())]))),
        pa.field("value", pa.string()),  # repr of the returned or raised value
        pa.field(
            "unwinding", pa.bool_(), nullable=False
        ),  # a `return None` that is an exception passing through
        pa.field("depth", pa.int32(), nullable=False),  # 0 for the entry's scope
    ]
)

TRACES = pa.schema(
    [
        pa.field(
            "key", pa.string(), nullable=False
        ),  # sha256 over context, entry and frames; the key
        pa.field("source", pa.string(), nullable=False),  # function | program | repository
        pa.field(
            "document", pa.string(), nullable=False
        ),  # sha256 of the document; "" for generated programs and repositories
        pa.field("origin", pa.string(), nullable=False),  # distribution, repository or "generator"
        pa.field("revision", pa.string(), nullable=False),  # commit of a repository, else ""
        pa.field("licence", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),  # module:qualname, or the program's seed
        pa.field(
            "context", pa.string(), nullable=False
        ),  # source text shown before the frames, entry line marked
        pa.field("entry", pa.string(), nullable=False),
        pa.field(
            "arguments", pa.string(), nullable=False
        ),  # Python source of the argument list, "" when unknown
        pa.field("literal", pa.bool_(), nullable=False),  # the arguments survive ast.literal_eval
        # doctest | unittest | main | harvest | mutation | fuzz | llm | generated | pytest
        pa.field("input_method", pa.string(), nullable=False),
        pa.field("test", pa.string(), nullable=False),  # test id of a repository's test, else ""
        # what a fix did to a test: both traces have the same pair, and are its sides
        pa.field("pair", pa.string(), nullable=False),
        pa.field("side", pa.string(), nullable=False),  # before | after | ""
        pa.field("frames", pa.list_(FRAME), nullable=False),
        pa.field(
            "outcome", pa.string(), nullable=False
        ),  # return | exception | event-budget | byte-budget
        pa.field(
            "result", pa.string(), nullable=False
        ),  # repr of the entry's result or exception; "" when cut
        pa.field("coverage", pa.string(), nullable=False),  # digest of the lines that were executed
        pa.field("tampered", pa.bool_(), nullable=False),  # the program meddled with tracing
        pa.field("deterministic", pa.bool_(), nullable=False),  # a second run did the same
        pa.field(
            "episode", pa.int32(), nullable=False
        ),  # 0 for a whole trace, else its place among the episodes
        pa.field(
            "group", pa.string(), nullable=False
        ),  # what must not straddle the split: near-dup cluster or shape
        pa.field("python", pa.string(), nullable=False),  # 3.11
        pa.field("sandbox", pa.string(), nullable=False),  # layer; not content
    ]
)
"""An executed piece of code, step by step; special tokens enter only at tokenisation."""

CONTEXT_PART = pa.struct(
    [
        pa.field("source", pa.string(), nullable=False),  # agent | env
        pa.field("role", pa.string(), nullable=False),  # system | user | assistant | tool: NAME
        pa.field("text", pa.string(), nullable=False),
    ]
)

TRAJECTORIES = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),  # mutate-fix
        pa.field("document", pa.string(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("licence", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),  # module:qualname
        pa.field("family", pa.string(), nullable=False),  # mutation family
        pa.field("original", pa.string(), nullable=False),  # the function's source
        pa.field("mutated", pa.string(), nullable=False),
        pa.field("tests", pa.string(), nullable=False),  # JSON list of {"call": …, "expected": …}
        pa.field("turns", pa.list_(CONTEXT_PART), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),  # fixed | failed
        pa.field("reward", pa.float32(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("python", pa.string(), nullable=False),
        pa.field("sandbox", pa.string(), nullable=False),  # layer; not content
    ]
)
"""An agent at work on a task: alternating agent and environment turns."""

NOT_CONTENT = frozenset({"fetched_at", "sandbox"})


def write_table(
    folder: Path, schema: pa.Schema, rows: Iterable[Mapping[str, Any]], *, shard_rows: int = 20_000
) -> int:
    """Write ``rows`` as Parquet shards (zstd) under ``folder``; return how many there were.

    A table without rows still gets one empty shard, so that its schema can be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count, shard = 0, 0
    batch: list[Mapping[str, Any]] = []

    def flush() -> None:
        nonlocal shard, batch
        table = pa.Table.from_pylist(batch, schema=schema)
        pq.write_table(table, folder / f"{shard:05d}.parquet", compression="zstd")
        shard, batch = shard + 1, []

    for row in rows:
        batch.append(row)
        count += 1
        if len(batch) == shard_rows:
            flush()
    if batch or shard == 0:
        flush()
    return count


def shards(folder: Path) -> list[Path]:
    """Return the Parquet files of a table in name order; raise `TableError` when there are none."""
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise TableError(f"{folder} holds no Parquet file; a table has at least one shard")
    return files


def read_table(folder: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table as dictionaries, shard by shard."""
    for file in shards(folder):
        # A row of traces may be some MB, so that few are in memory at once.
        for batch in pq.ParquetFile(file).iter_batches(batch_size=128, columns=columns):
            yield from batch.to_pylist()


def check_table(folder: Path, schema: pa.Schema) -> None:
    """Raise `TableError` unless every shard has exactly this schema and no forbidden null."""
    for file in shards(folder):
        found = pq.read_schema(file).remove_metadata()
        if not found.equals(schema):
            raise TableError(f"{file}: schema differs.\nexpected:\n{schema}\nfound:\n{found}")
        columns = [field.name for field in schema if not field.nullable]
        for batch in pq.ParquetFile(file).iter_batches(batch_size=1024, columns=columns):
            for name in columns:
                if nulls := batch.column(name).null_count:
                    raise TableError(f"{file}: column {name!r} has {nulls} nulls")


def table_digest(folder: Path) -> str:
    """Return the sha256 over the table's rows, sorted, without the columns that are not content."""
    digests = sorted(
        hashlib.sha256(
            json.dumps(
                {k: v for k, v in row.items() if k not in NOT_CONTENT}, sort_keys=True
            ).encode("utf-8", "surrogatepass")
        ).digest()
        for row in read_table(folder)
    )
    return hashlib.sha256(b"".join(digests)).hexdigest()
