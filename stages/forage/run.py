"""Forage both splits, over as many sandboxes as the placement has, and leave out what is too
alike.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from cluster.dag.metrics import write_statistics
from cluster.dag.stage import StepContext
from cluster.sandbox import Sandbox
from stages.curate.duplicates import signature, similarity
from stages.curate.settings import CurateSettings
from stages.forage.document import LIMITS, PRELOAD, Foraged, forage_document
from stages.forage.find import Document, documents
from stages.forage.settings import ForagePlacement, ForageSettings
from stages.tables import DROPPED, TRAJECTORIES, read_table, write_table

log = logging.getLogger(__name__)

Row = dict[str, Any]
SPLITS = ("train", "heldout")
_COLUMNS = ["sha256", "origin", "licence", "path", "text"]
_SIGNATURE = CurateSettings(permutations=128, bands=16)


class NothingForagedError(RuntimeError):
    """No trajectory came out of a split; says why each document gave none."""


def run(context: StepContext) -> None:
    """Write ``train/``, ``heldout/`` and ``dropped/``."""
    settings: ForageSettings = context.settings
    placement: ForagePlacement = context.placement or ForagePlacement()
    corpus = context.inputs["corpus"].path
    dropped: list[Row] = []
    statistics: dict[str, Any] = {}
    seconds = 0.0
    counts = {"train": settings.documents, "heldout": settings.heldout_documents}
    for split in SPLITS:
        found = documents(read_table(corpus / split, _COLUMNS), counts[split], settings)
        rows: list[Row] = []
        for document, foraged in _forage(found, settings, placement):
            rows += foraged.rows
            dropped += [_dropped_row(document, *drop) for drop in foraged.dropped]
            seconds += foraged.cpu_seconds
        kept, alike = distinct(rows, settings)
        dropped += alike
        if not kept:
            reasons = Counter(row["reason"] for row in dropped)
            raise NothingForagedError(
                f"no {split} trajectory from {len(found)} documents: {dict(reasons)}. "
                "Crawl more files with doctests, or raise forage.documents."
            )
        write_table(context.output / split, TRAJECTORIES, kept)
        statistics |= _count(split, kept, len(found))
        log.info("%s: %d trajectories of %d documents", split, len(kept), len(found))
    write_table(context.output / "dropped", DROPPED, dropped)
    statistics["dropped"] = dict(sorted(Counter(row["reason"] for row in dropped).items()))
    statistics["sandbox_cpu_seconds"] = round(seconds, 1)
    write_statistics(context.statistics_file, statistics)


def _forage(
    found: list[Document], settings: ForageSettings, placement: ForagePlacement
) -> Iterator[tuple[Document, Foraged]]:
    """Yield the documents in their order, each with what came of it."""
    import ray  # heavy, and of no use without a running cluster

    if ray.is_initialized() and placement.workers > 1:
        actor = ray.remote(_Worker).options(num_cpus=placement.cpus)
        workers = [actor.remote(settings) for _ in range(min(placement.workers, len(found)))]
        pool = ray.util.ActorPool(workers)
        results = pool.map(lambda worker, document: worker.forage.remote(document), found)
        try:
            yield from _progress(zip(found, results, strict=True), len(found))
        finally:
            for worker in workers:
                ray.kill(worker)
        return
    with Sandbox(preload=PRELOAD, limits=LIMITS) as box:
        results = ((d, forage_document(d, settings, box)) for d in found)
        yield from _progress(results, len(found))


class _Worker:
    """A sandbox in a Ray actor."""

    def __init__(self, settings: ForageSettings) -> None:
        self._settings = settings
        self._box = Sandbox(preload=PRELOAD, limits=LIMITS)

    def forage(self, document: Document) -> Foraged:
        return forage_document(document, self._settings, self._box)


def _progress(
    results: Iterable[tuple[Document, Foraged]], total: int
) -> Iterator[tuple[Document, Foraged]]:
    start = last = time.monotonic()
    for number, result in enumerate(results, 1):
        yield result
        if time.monotonic() - last > 5:
            last = time.monotonic()
            left = (last - start) / number * (total - number)
            log.info("%d of %d documents, about %.0f s left", number, total, left)


def distinct(rows: list[Row], settings: ForageSettings) -> tuple[list[Row], list[Row]]:
    """Split into trajectories that are pairwise unlike within their origin, and dropped rows of the
    others.

    The order of their keys decides, so that neither workers nor documents do.
    """
    kept: list[Row] = []
    dropped: list[Row] = []
    signatures: dict[str, list[tuple[str, bytes]]] = {}
    for row in sorted(rows, key=lambda row: row["key"]):
        done = "\n".join(turn["text"] for turn in row["turns"] if turn["source"] == "agent")
        signed = signature(done, _SIGNATURE)
        others = signatures.setdefault(row["origin"], [])
        like = next((k for k, s in others if similarity(s, signed) >= settings.similarity), None)
        if like is None:
            others.append((row["key"], signed))
            kept.append(row)
        else:
            dropped.append(_drop(row["key"], row["origin"], row["name"], "near-duplicate", like))
    return kept, dropped


def _dropped_row(document: Document, name: str, reason: str, detail: str) -> Row:
    return _drop(f"{document.sha256}:{name}", document.origin, document.module, reason, detail)


def _drop(key: str, origin: str, path: str, reason: str, detail: str) -> Row:
    return {
        "key": key,
        "origin": origin,
        "path": path,
        "reason": reason,
        "detail": detail,
        "bytes": 0,
    }


def _count(split: str, rows: list[Row], found: int) -> dict[str, Any]:
    """Return the split's figures."""
    return {
        f"documents_{split}": found,
        f"trajectories_{split}": len(rows),
        f"functions_{split}": len({row["name"] for row in rows}),
        f"origins_{split}": len({row["origin"] for row in rows}),
        f"fixed_{split}": sum(row["outcome"] == "fixed" for row in rows),
        f"families_{split}": dict(sorted(Counter(row["family"] for row in rows).items())),
    }
