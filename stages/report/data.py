"""What happened to the data: kept and dropped rows per step, tokens per source, licences per
origin.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.report.records import TRAINING, StepRecord, of_kind


@dataclass(frozen=True, slots=True)
class Funnel:
    """The rows that a step kept, by table, and those that it dropped, by reason (most first)."""

    step: str
    kept: dict[str, int]
    dropped: dict[str, int]


@dataclass(frozen=True, slots=True)
class TokenSource:
    """A token file: what was made, and per training stage what fitted the context and was trained
    on.

    ``groups`` tells ``documents``, ``fit`` and ``tokens`` of parts of it, such as functions and
    programs. ``fitted``, ``documents_seen`` and ``tokens_seen`` map a stage to a number; an absent
    stage did not use it or did not say.
    """

    name: str
    documents: int | None
    tokens: int | None
    fit: int | None
    groups: dict[str, dict[str, int]]
    fitted: dict[str, int] = field(default_factory=dict)
    documents_seen: dict[str, int] = field(default_factory=dict)
    tokens_seen: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OriginLicence:
    """The curated files of one distribution or repository under one licence."""

    origin: str
    revision: str
    licence: str
    files: int
    bytes: int


def funnels(records: Sequence[StepRecord]) -> list[Funnel]:
    """Return a funnel for every step whose artifact has a table of what it dropped."""
    return [_funnel(record) for record in records if (record.path / "dropped").is_dir()]


def _funnel(record: StepRecord) -> Funnel:
    kept = {
        folder: sum(pq.read_metadata(f).num_rows for f in (record.path / folder).glob("*.parquet"))
        for folder in ("documents", "train", "heldout")
        if (record.path / folder).is_dir()
    }
    reasons: Counter[str] = Counter()
    for file in sorted((record.path / "dropped").glob("*.parquet")):
        reasons.update(pq.read_table(file, columns=["reason"]).column("reason").to_pylist())
    return Funnel(record.step, kept, dict(reasons.most_common()))


def token_sources(records: Sequence[StepRecord]) -> list[TokenSource]:
    """Return every token file with what the training stages say they took from it."""
    sources = []
    for record in of_kind(records, "tokens"):
        made = {**_meta(record.path), **record.statistics}
        source = TokenSource(
            record.step.partition(".")[2] or record.step,
            _whole(made.get("documents")),
            _whole(made.get("tokens")),
            _whole(made.get("fit")),
            _groups(made),
        )
        for trained in records:
            if trained.stage in TRAINING:
                _add_use(source, record, trained)
        sources.append(source)
    return sources


def _groups(made: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return the counts named ``GROUP.documents``, ``GROUP.fit`` and ``GROUP.tokens``, by group."""
    groups: dict[str, dict[str, int]] = {}
    for key, value in made.items():
        group, _, count = key.rpartition(".")
        if group and count in ("documents", "fit", "tokens"):
            groups.setdefault(group, {})[count] = int(value)
    return groups


def _add_use(source: TokenSource, tokens: StepRecord, trained: StepRecord) -> None:
    for name, entry in trained.record.get("inputs", {}).items():
        if entry["step"] != tokens.step:
            continue
        for target, key in (
            (source.fitted, "documents_fit"),
            (source.documents_seen, "documents_seen"),
            (source.tokens_seen, "tokens_seen"),
        ):
            value = _whole(trained.statistics.get(f"{key}.{name}"))
            if value is not None:
                target[trained.step] = value


def _meta(folder: Path) -> dict[str, Any]:
    file = folder / "meta.json"
    return json.loads(file.read_text()) if file.exists() else {}


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def origin_licences(records: Sequence[StepRecord]) -> list[OriginLicence]:
    """Return the curated files by origin, revision and licence, the most bytes first."""
    tables = []
    for record in of_kind(records, "corpus"):
        for file in sorted(record.path.glob("*/*.parquet")):
            if file.parent.name in ("train", "heldout"):
                table = pq.read_table(file, columns=["origin", "revision", "licence", "text"])
                size = pc.binary_length(table.column("text").cast(pa.binary()))
                tables.append(table.drop_columns(["text"]).append_column("bytes", size))
    if not tables:
        return []
    keys = ["origin", "revision", "licence"]
    sums = pa.concat_tables(tables).group_by(keys).aggregate([("bytes", "sum"), ("bytes", "count")])
    found = [
        OriginLicence(r["origin"], r["revision"], r["licence"], r["bytes_count"], r["bytes_sum"])
        for r in sums.to_pylist()
    ]
    return sorted(found, key=lambda o: (-o.bytes, o.origin))
