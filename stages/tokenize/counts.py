"""How much was made of how many rows: for the report's table of documents and tokens per source."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from stages.tokenize.document import Document


class Counts:
    """Counts of one split, in all, per group (a column such as "source") and per origin.

    ``rows``: read. ``used``: rows that gave at least one document. ``documents``, ``tokens``: made.
    ``fit``: documents no longer than the context.
    """

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self.total: Counter[str] = Counter()
        self.groups: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.origins: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.dropped: Counter[str] = Counter()

    def add(self, documents: Sequence[Document], *, group: str, origin: str, dropped: str) -> None:
        """Count one row."""
        found = {
            "rows": 1,
            "used": int(bool(documents)),
            "documents": len(documents),
            "fit": sum(len(document.ids) <= self.max_tokens for document in documents),
            "tokens": sum(len(document.ids) for document in documents),
        }
        for counter in (self.total, self.groups[group], self.origins[origin]):
            counter.update(found)
        if dropped:
            self.dropped[dropped] += 1

    def statistics(self) -> dict[str, int]:
        """Return totals, ``GROUP.count``, ``dropped.REASON`` and the number of origins used."""
        found = {name: int(value) for name, value in self.total.items()}
        for group, counter in sorted(self.groups.items()):
            found |= {f"{group}.{name}": int(value) for name, value in counter.items()}
        found |= {f"dropped.{reason}": count for reason, count in sorted(self.dropped.items())}
        found["origins"] = sum(counter["used"] > 0 for counter in self.origins.values())
        return found

    def by_origin(self) -> dict[str, dict[str, Any]]:
        """Return the counts of every origin."""
        return {origin: dict(counter) for origin, counter in sorted(self.origins.items())}
