"""One measurement of one question, and its file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """``amount`` out of ``size``: 1 of 1 answers, 3 of 5 frames, nats of tokens, bits of bytes.

    ``measure`` and ``key`` name it: the same in every checkpoint that was asked the same.
    ``tags`` are the subsets that it belongs to.
    """

    measure: str
    key: str
    amount: float
    size: float = 1.0
    tags: tuple[str, ...] = ()
    answer: str = ""


def write_items(file: Path, items: Iterable[Item]) -> None:
    """Write items as JSON lines."""
    with file.open("w") as lines:
        lines.writelines(json.dumps(asdict(item), sort_keys=True) + "\n" for item in items)


def read_items(file: Path) -> Iterator[Item]:
    """Read what `write_items` wrote."""
    with file.open() as lines:
        for line in lines:
            row = json.loads(line)
            yield Item(**{**row, "tags": tuple(row["tags"])})
