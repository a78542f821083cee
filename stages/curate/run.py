"""Run the curation pipeline and count what it did."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path
from typing import Any

from cluster.beam import run_pipeline
from cluster.dag.metrics import write_statistics
from cluster.dag.stage import StepContext
from stages.curate.pipeline import build
from stages.curate.settings import CuratePlacement
from stages.curate.write import write_file
from stages.tables import DOCUMENTS, DROPPED, read_table

log = logging.getLogger(__name__)


class EmptyCorpusError(ValueError):
    """Curation left no document in a split; says how many came in and what took how many."""


def run(context: StepContext) -> None:
    """Curate the input ``documents`` into ``train/``, ``heldout/`` and ``dropped/``."""
    placement: CuratePlacement = context.placement or CuratePlacement()
    documents = context.inputs["documents"].path / "documents"
    run_pipeline(
        partial(build, documents=documents, output=context.output, settings=context.settings),
        runner=placement.runner,
        options=placement.options,
    )
    for table, schema in (("train", DOCUMENTS), ("heldout", DOCUMENTS), ("dropped", DROPPED)):
        if not list((context.output / table).glob("*.parquet")):
            write_file(context.output / table / "00000.parquet", schema, [])
    found = statistics(context.output)
    require_documents(found)
    write_statistics(context.statistics_file, found)
    log.info("%d documents, %.1f MB kept", found["documents"], found["bytes"] / 1e6)


def require_documents(found: dict[str, Any]) -> None:
    """Raise `EmptyCorpusError` when a split is empty."""
    for split in ("train", "heldout"):
        if not found[f"documents_{split}"]:
            drops = ", ".join(f"{reason} {count}" for reason, count in found["dropped"].items())
            raise EmptyCorpusError(
                f"no document is left in the {split} split: {found['documents_in']} came in, "
                f"{found['documents']} were kept, dropped: {drops or 'none'}. "
                "Crawl more, loosen curate's filters or change curate.heldout_fraction."
            )


def statistics(output: Path) -> dict[str, Any]:
    """Count documents and bytes per split, per origin, per licence and per reason to drop."""
    origins: dict[str, dict[str, Any]] = {}
    licences: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    for split in ("train", "heldout"):
        for row in read_table(output / split, ["text", "origin", "licence"]):
            size = len(row["text"].encode())
            totals.update({f"documents_{split}": 1, f"bytes_{split}": size})
            licences[row["licence"]] += 1
            origin = origins.setdefault(
                row["origin"], {"documents": 0, "bytes": 0, "licence": row["licence"]}
            )
            origin["documents"] += 1
            origin["bytes"] += size
    dropped: Counter[str] = Counter()
    dropped_bytes: dict[str, int] = defaultdict(int)
    for row in read_table(output / "dropped"):
        dropped[row["reason"]] += 1
        dropped_bytes[row["reason"]] += row["bytes"]
    documents = totals["documents_train"] + totals["documents_heldout"]
    size = totals["bytes_train"] + totals["bytes_heldout"]
    return {
        "documents_in": documents + dropped.total(),
        "bytes_in": size + sum(dropped_bytes.values()),
        "documents": documents,
        "bytes": size,
        **{
            f"{what}_{split}": totals[f"{what}_{split}"]
            for what in ("documents", "bytes")
            for split in ("train", "heldout")
        },
        "dropped": dict(sorted(dropped.items())),
        "dropped_bytes": dict(sorted(dropped_bytes.items())),
        "licences": dict(sorted(licences.items())),
        "origins": dict(sorted(origins.items())),
        "origins_total": len(origins),
    }
