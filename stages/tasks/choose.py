"""Which traces become tasks: whole, short, literal, and in an order that only hashes decide."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.tables import TRACES, read_table, shards
from stages.tasks.fixes import is_literal
from stages.tasks.settings import TaskSettings

Row = dict[str, Any]


def order(key: str, seed: int) -> str:
    """Return what sorts keys in an arbitrary, repeatable order."""
    return hashlib.sha256(f"{seed}:{key}".encode()).hexdigest()


def usable(folder: Path, settings: TaskSettings) -> Iterator[Row]:
    """Yield one row per question: whole traces that return a short literal for short literals.

    The rows have ``frame_count`` instead of ``frames``, which are most of a table (see
    `frames_of`).
    """
    seen = set()
    for row in sorted(_rows(folder), key=lambda row: order(row["key"], settings.seed)):
        question = (row["context"], row["entry"], row["arguments"])
        if question not in seen and _short(row, settings):
            seen.add(question)
            yield row


def _rows(folder: Path) -> Iterator[Row]:
    columns = [name for name in TRACES.names if name != "frames"]
    for file in shards(folder):
        frames = pq.read_table(file, columns=["frames"]).column("frames")
        counts = pc.list_value_length(frames).to_pylist()
        rows = pq.read_table(file, columns=columns).to_pylist()
        for row, count in zip(rows, counts, strict=True):
            yield {**row, "frame_count": count}


def _short(row: Row, settings: TaskSettings) -> bool:
    return (
        row["literal"]
        and row["outcome"] == "return"
        and row["episode"] == 0
        and len(row["context"]) <= settings.max_context_chars
        and len(row["arguments"]) <= settings.max_value_chars
        and len(row["result"]) <= settings.max_value_chars
        and is_literal(row["result"])
    )


def groups(folder: Path) -> set[str]:
    """Return every group of a table of traces."""
    return {row["group"] for row in read_table(folder, ["group"])}


def frames_of(folder: Path, keys: Iterable[str]) -> Mapping[str, list[dict[str, Any]]]:
    """Return the frames of the traces named ``keys``."""
    wanted = set(keys)
    found = {}
    for file in shards(folder):
        table = pq.read_table(
            file, columns=["key", "frames"], filters=[("key", "in", wanted)] if wanted else None
        )
        for row in table.to_pylist() if wanted else ():
            found[row["key"]] = row["frames"]
    return found


def take(rows: list[Row], count: int, settings: TaskSettings) -> list[Row]:
    """Take the first ``count`` rows, real functions up to their share."""
    functions = [row for row in rows if row["source"] == "function"]
    programs = [row for row in rows if row["source"] != "function"]
    functions = functions[: int(count * settings.function_fraction)]
    return functions + programs[: count - len(functions)]
