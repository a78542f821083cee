"""What was made and what was left out, in numbers and rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]


def drop(key: str, origin: str, path: str, reason: str, detail: str, size: int = 0) -> Row:
    """Return a row of the dropped table."""
    return {
        "key": key,
        "origin": origin,
        "path": path,
        "reason": reason,
        "detail": detail,
        "bytes": size,
    }


def drop_trace(row: Row, reason: str, detail: str) -> Row:
    """Return the dropped table's row of a trace that was made and not kept."""
    text = f"{row['name']}({row['arguments']}): {detail}"
    return drop(row["key"], row["origin"], "", reason, text[:300], len(row["context"]))


def drop_order(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Order the dropped table, whatever the order of the work was."""
    return row["reason"], row["key"], row["detail"]


def summarise(
    kept: Sequence[Row], dropped: Sequence[Row], found: int, chosen: int, cpu: float
) -> dict[str, Any]:
    """Count what was made, by source, split, origin, way of input and outcome."""
    functions = [row for row in kept if row["source"] == "function"]
    frames = Counter[str]()
    for row in kept:
        frames[row["source"]] += len(row["frames"])
    names = {row["name"] for row in functions}
    counts: dict[str, Any] = {
        "traces": len(kept),
        "functions": len(names),
        "functions.found": found,
        "functions.chosen": chosen,
        "functions.yield": len(names) / chosen if chosen else 0.0,
        "distributions": len({row["origin"] for row in functions}),
        "sandbox_cpu_seconds": cpu,
    }
    for name, column in (
        ("source", "source"),
        ("split", "split"),
        ("origin", "origin"),
        ("input", "input_method"),
        ("outcome", "outcome"),
    ):
        for value, count in sorted(Counter(row[column] for row in kept).items()):
            counts[f"traces.{name}.{value}"] = count
    for value, count in sorted(frames.items()):
        counts[f"frames.{value}"] = count
    for value in sorted({row["origin"] for row in functions}):
        counts[f"functions.origin.{value}"] = len(
            {row["name"] for row in functions if row["origin"] == value}
        )
    for value, count in sorted(Counter(row["reason"] for row in dropped).items()):
        counts[f"dropped.{value}"] = count
    return counts
