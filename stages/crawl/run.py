"""Read the files of every origin, keep what is permissive and readable within the budgets."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cluster.dag.metrics import write_statistics
from cluster.dag.stage import StepContext
from stages.crawl.licences import is_permissive, licence_of_file
from stages.crawl.settings import CrawlSettings
from stages.crawl.sources import Found, Origin, origins
from stages.tables import DOCUMENTS, DROPPED, write_table

log = logging.getLogger(__name__)

Row = dict[str, Any]
Rank = tuple[bool, bool, str]


@dataclass(slots=True)
class Crawled:
    """Document rows with their rank, and dropped rows."""

    documents: list[tuple[Rank, Row]] = field(default_factory=list)
    dropped: list[Row] = field(default_factory=list)


def run(context: StepContext) -> None:
    """Crawl the sources of ``context.settings`` into ``documents/`` and ``dropped/``."""
    settings: CrawlSettings = context.settings
    crawled = crawl(origins(settings.sources, settings.excluded_distributions), settings)
    documents = [row for _, row in crawled.documents]
    # small shards: they are the units of work of the stage that reads them
    write_table(context.output / "documents", DOCUMENTS, documents, shard_rows=256)
    write_table(context.output / "dropped", DROPPED, crawled.dropped)
    write_statistics(context.statistics_file, statistics(documents, crawled.dropped))


def crawl(found: Iterable[Origin], settings: CrawlSettings) -> Crawled:
    """Read ``found`` and return the chosen documents by (origin, path), with the dropped rows."""
    result, last = Crawled(), time.monotonic()
    for number, origin in enumerate(found, 1):
        chosen = _read_origin(origin, settings, result.dropped)
        result.documents.extend(chosen)
        if time.monotonic() - last > 5:
            last = time.monotonic()
            log.info("%d origins read, %d files chosen", number, len(result.documents))
    kept, left = _within(result.documents, settings.total_bytes)
    result.documents = sorted(kept, key=lambda ranked: (ranked[1]["origin"], ranked[1]["path"]))
    result.dropped.extend(_over_budget(left, "total_bytes"))
    log.info("%d documents of %d origins", len(kept), len({row["origin"] for _, row in kept}))
    return result


def _read_origin(
    origin: Origin, settings: CrawlSettings, dropped: list[Row]
) -> list[tuple[Rank, Row]]:
    """Return the files of one origin that fit its budget; append the others to ``dropped``."""
    documents = []
    excluded = set(settings.excluded_parts)
    for found in origin.files:
        if under := excluded & set(found.path.split("/")):
            detail = f"under {min(under)}"
            dropped.append(_dropped_row(origin.name, found.path, "excluded", detail, 0))
            continue
        row, reason, detail, size = _read(origin, found, settings)
        if row is None:
            dropped.append(_dropped_row(origin.name, found.path, reason, detail, size))
        else:
            documents.append((_rank(row, settings), row))
    name = "stdlib_bytes" if origin.source == "stdlib" else "distribution_bytes"
    kept, left = _within(documents, getattr(settings, name))
    dropped.extend(_over_budget(left, name))
    return kept


def _read(
    origin: Origin, found: Found, settings: CrawlSettings
) -> tuple[Row | None, str, str, int]:
    """Return a document row, or (None, reason, detail, bytes)."""
    vendored = set(settings.vendored_parts) & set(found.path.split("/"))
    if vendored:
        return None, "vendored", f"under {min(vendored)}: its licence is not the origin's", 0
    try:
        data = found.file.read_bytes()
    except OSError as error:
        return None, "unreadable", f"{type(error).__name__}: {error.strerror}", 0
    if not data:
        return None, "empty", "no bytes", 0
    if len(data) > settings.max_file_bytes:
        return None, "too-large", f"{len(data)} > {settings.max_file_bytes} bytes", len(data)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return None, "not-utf8", f"byte {error.start}: {error.reason}", len(data)
    licence = licence_of_file(text, origin.licence)
    if licence is None:
        return None, "no-licence", "neither metadata nor header name one clearly", len(data)
    if not is_permissive(licence.expression, frozenset(settings.licences)):
        return None, "not-permissive", licence.expression, len(data)
    row = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "blob": git_blob(data),
        "text": text,
        "language": "python",
        "source": origin.source,
        "origin": origin.name,
        "revision": origin.revision,
        "path": found.path,
        "licence": licence.expression,
        "licence_method": licence.method,
        "fetched_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return row, "", "", len(data)


def _rank(row: Row, settings: CrawlSettings) -> Rank:
    """Return what orders files: the standard library, then doctests, then a hash of the name."""
    plain = settings.prefer_doctests and ">>> " not in row["text"]
    name = hashlib.sha256(f"{row['origin']}:{row['path']}".encode()).hexdigest()
    return row["source"] != "stdlib", plain, name


def git_blob(data: bytes) -> str:
    """Return the id that git gives a file with these bytes (hex sha1)."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _within(
    documents: list[tuple[Rank, Row]], budget: int
) -> tuple[list[tuple[Rank, Row]], list[Row]]:
    """Split into (kept, left): in rank order, what still fits in ``budget`` bytes is kept."""
    kept, left, used = [], [], 0
    for ranked in sorted(documents, key=lambda ranked: ranked[0]):
        size = len(ranked[1]["text"].encode())
        if used + size <= budget:
            kept.append(ranked)
            used += size
        else:
            left.append(ranked[1])
    return kept, left


def _over_budget(left: list[Row], budget: str) -> Iterable[Row]:
    for row in left:
        size = len(row["text"].encode())
        yield _dropped_row(row["origin"], row["path"], "over-budget", f"beyond {budget}", size)


def _dropped_row(origin: str, path: str, reason: str, detail: str, size: int) -> Row:
    key = f"{origin}:{path}"
    return {
        "key": key,
        "origin": origin,
        "path": path,
        "reason": reason,
        "detail": detail,
        "bytes": size,
    }


def statistics(documents: list[Row], dropped: list[Row]) -> dict[str, Any]:
    """Return documents, bytes, drops by reason, and documents by licence and how it was found."""
    return {
        "documents": len(documents),
        "bytes": sum(len(row["text"].encode()) for row in documents),
        "origins_total": len({row["origin"] for row in documents}),
        "dropped": dict(Counter(row["reason"] for row in dropped)),
        "licences": dict(Counter(row["licence"] for row in documents)),
        "licence_methods": dict(Counter(row["licence_method"] for row in documents)),
    }
