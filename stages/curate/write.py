"""Writing one shard of the corpus from the decisions about its documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stages.tables import DOCUMENTS, DROPPED


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the document in a row of a shard: a split, or a reason why it is dropped."""

    row: int
    reason: str = ""
    detail: str = ""
    split: str = ""


def read_rows(shard: str) -> list[dict[str, Any]]:
    """Return the documents of one shard, in file order: a row's place is part of its address."""
    rows: list[dict[str, Any]] = pq.read_table(shard, schema=DOCUMENTS).to_pylist()
    return rows


def write_shard(decided: tuple[str, Iterable[Decision]], output: str) -> None:
    """Write one shard's rows into train/, heldout/ and dropped/ under the shard's own name."""
    shard, decisions = decided
    rows = read_rows(shard)
    tables: dict[str, list[dict[str, Any]]] = {"train": [], "heldout": [], "dropped": []}
    for decision in sorted(decisions, key=lambda d: d.row):
        row = rows[decision.row]
        if decision.split:
            tables[decision.split].append(row)
        else:
            tables["dropped"].append(_dropped(row, decision))
    for table, kept in tables.items():
        if kept:
            schema = DROPPED if table == "dropped" else DOCUMENTS
            write_file(Path(output) / table / Path(shard).name, schema, kept)


def write_file(file: Path, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
    """Write one Parquet file by a rename: a bundle may be tried twice, or its worker die."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), partial, compression="zstd")
    partial.replace(file)


def _dropped(row: Mapping[str, Any], decision: Decision) -> dict[str, Any]:
    return {
        "key": f"{row['origin']}:{row['path']}",
        "origin": row["origin"],
        "path": row["path"],
        "reason": decision.reason,
        "detail": decision.detail,
        "bytes": len(row["text"].encode()),
    }
