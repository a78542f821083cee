"""What was made and what was left out, in numbers and rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stages.redaction import Redactor
from stages.trace.selection import METHODS, REASONS, Index, Mask, Traits, Verdicts
from stages.trace.shards import Counts

Row = dict[str, Any]

_DETAIL_CHARS = 300


def drop(key: str, origin: str, path: str, reason: str, detail: str, size: int = 0) -> Row:
    """Return a row of the dropped table, whose texts show nobody's secrets either."""
    key, path, detail = map(_fit_to_write, Redactor().redact([key, path, detail]))
    return {
        "key": key,
        "origin": origin,
        "path": path,
        "reason": reason,
        "detail": detail[:_DETAIL_CHARS],
        "bytes": size,
    }


def _fit_to_write(text: str) -> str:
    """Return text without halves of surrogate pairs, which messages and test ids may have."""
    return text.encode(errors="backslashreplace").decode()


def drop_trace(row: Mapping[str, Any], reason: str, detail: str) -> Row:
    """Return the dropped table's row of a trace that was made and not kept."""
    text = f"{row['name']}({row['arguments']}): {detail}"
    return drop(row["key"], row["origin"], "", reason, text, len(row["context"]))


@dataclass(slots=True)
class Work:
    """What the shards came to, added up as they are done."""

    shards: int = 0
    found_there: int = 0
    """Shards that an earlier, killed execution had made."""
    made: int = 0
    """Traces before selection."""
    frames: int = 0
    tried: Counter[str] = field(default_factory=Counter)
    valid: Counter[str] = field(default_factory=Counter)
    cpu_seconds: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    engines: Counter[str] = field(default_factory=Counter)
    layers: Counter[str] = field(default_factory=Counter)
    worker_seconds: float = 0.0

    def add(self, counts: Counts) -> None:
        """Add a finished shard."""
        self.shards += 1
        self.made += counts.rows
        self.frames += counts.frames
        self.tried.update(counts.tried)
        self.valid.update(counts.valid)
        self.cpu_seconds.update(counts.cpu_seconds)
        self.dropped.update(counts.dropped)
        self.engines[counts.engine] += 1
        self.layers[counts.layer] += 1
        self.worker_seconds += counts.worker_seconds

    def statistics(self) -> dict[str, Any]:
        """Return the counts by shard and by method, flat."""
        found: dict[str, Any] = {
            "shards": self.shards,
            "shards.found_there": self.found_there,
            "traces.made": self.made,
            "sandbox_cpu_seconds": round(self.cpu_seconds.total(), 3),
            "worker_cpu_seconds": round(self.worker_seconds, 3),
        }
        for method, tried, valid, seconds in self.methods():
            found[f"method.{method}.cpu_seconds"] = round(seconds, 3)
            if tried:
                found[f"method.{method}.tried"] = tried
                found[f"method.{method}.valid"] = valid
            if tried and seconds:
                found[f"method.{method}.traces_per_cpu_second"] = round(valid / seconds, 1)
        found |= {f"shards.engine.{name}": n for name, n in sorted(self.engines.items())}
        found |= {f"shards.sandbox.{name}": n for name, n in sorted(self.layers.items())}
        return found

    def methods(self) -> list[tuple[str, int, int, float]]:
        """Return (method, inputs tried, traces, CPU seconds) of each.

        "import" and "check", the second execution, cost time and try nothing.
        """
        names = {*self.tried, *self.valid, *self.cpu_seconds}
        order = [*METHODS, *sorted(names - set(METHODS))]
        return [
            (name, self.tried[name], self.valid[name], self.cpu_seconds[name])
            for name in order
            if name in names
        ]


def selected(index: Index, verdicts: Verdicts) -> dict[str, Any]:
    """Count what is kept by source, split, origin, way of input and outcome, and what is not."""
    kept = verdicts == 0
    functions = kept & index.where(lambda each: each.source == "function")
    counts: dict[str, Any] = {
        "traces": int(kept.sum()),
        "functions": _functions(index, functions),
        "distributions": len({index.traits[place].origin for place in index.trait[functions]}),
    }
    for name, column in (
        ("source", "source"),
        ("split", "split"),
        ("origin", "origin"),
        ("input", "input_method"),
        ("outcome", "outcome"),
    ):
        for value, rows in _by(index, kept, column):
            counts[f"traces.{name}.{value}"] = int(rows.sum())
    for value, rows in _by(index, kept, "source"):
        counts[f"frames.{value}"] = int(index.columns["events"][rows].sum())
    for value, rows in _by(index, functions, "origin"):
        counts[f"functions.origin.{value}"] = _functions(index, rows)
    return counts


def left_out(verdicts: Verdicts) -> Counter[str]:
    """Count what selection left out, by reason."""
    found = Counter(dict(enumerate(np.bincount(verdicts, minlength=len(REASONS)).tolist())))
    return Counter({REASONS[place]: count for place, count in found.items() if place and count})


def _by(index: Index, rows: Mask, column: str) -> Iterable[tuple[str, Mask]]:
    """Yield each value of a trait that some of ``rows`` have, with a mask of these rows."""
    for value in sorted({getattr(each, column) for each in index.traits}):
        having = index.where(_having(column, value))
        if (rows & having).any():
            yield value, rows & having


def _having(column: str, value: str) -> Callable[[Traits], bool]:
    return lambda each: bool(getattr(each, column) == value)


def _functions(index: Index, rows: Mask) -> int:
    return len(np.unique(index.columns["function_id"][rows]))
