"""The curation pipeline: portable Beam transforms over the shards of a documents table."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam

from stages.curate.duplicates import Pair, bands, clusters, related_pairs, signature
from stages.curate.filters import first_drop
from stages.curate.settings import CurateSettings
from stages.curate.write import Decision, read_rows, write_shard
from stages.tables import shards

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Examined:
    """What is known of a document without its text: its place, size, signature, or drop."""

    id: str  # sha256 of the text
    name: str  # origin:path
    place: tuple[str, int]  # shard file and row
    size: int  # bytes
    signature: bytes = b""
    drop: tuple[str, str] | None = None


def build(pipeline: beam.Pipeline, documents: Path, output: Path, settings: CurateSettings) -> None:
    """Apply curation of the ``documents`` table to ``pipeline``; write tables under ``output``."""
    examined = (
        pipeline
        | "shards" >> beam.Create([str(file) for file in shards(documents)])
        | "spread" >> beam.Reshuffle()
        | "examine" >> beam.FlatMap(examine, settings)
    )
    filtered = (
        examined
        | "failed" >> beam.Filter(lambda e: e.drop is not None)
        | "filtered" >> beam.Map(lambda e: (e.place[0], Decision(e.place[1], *e.drop)))
    )
    same = (
        examined
        | "passed" >> beam.Filter(lambda e: e.drop is None)
        | "by content" >> beam.Map(lambda e: (e.id, e))
        | "group content" >> beam.GroupByKey()
        | "one per content" >> beam.FlatMap(one_per_content).with_outputs("copies", main="unique")
    )
    decided = _decide(same.unique, settings)
    (
        (filtered, same.copies, decided)
        | "decisions" >> beam.Flatten()
        | "by shard" >> beam.GroupByKey()
        | "write" >> beam.Map(write_shard, str(output))
    )


def _decide(unique: beam.PCollection, settings: CurateSettings) -> beam.PCollection:
    """Return (shard, Decision) for documents without an exact copy."""
    related = (
        unique
        | "sign" >> beam.Map(lambda e: (e.id, e.signature))
        | "bands" >> beam.FlatMap(bands, settings.bands)
        | "group bands" >> beam.GroupByKey()
        | "pairs" >> beam.FlatMap(_pairs, settings)
        # the pairs are few: one worker joins them into components
        | "all pairs" >> beam.combiners.ToList()
        | "clusters" >> beam.FlatMap(clusters)
    )
    return (
        {"document": unique | "by id" >> beam.Map(lambda e: (e.id, e)), "cluster": related}
        | "with cluster" >> beam.CoGroupByKey()
        | "by cluster" >> beam.Map(_by_cluster)
        | "group cluster" >> beam.GroupByKey()
        | "one per cluster" >> beam.FlatMap(one_per_cluster, settings)
    )


def examine(shard: str, settings: CurateSettings) -> Iterator[Examined]:
    """Yield what there is to know of each document of a shard."""
    count = 0
    for row, document in enumerate(read_rows(shard)):
        text = document["text"]
        drop = first_drop(text, settings)
        yield Examined(
            id=document["sha256"],
            name=f"{document['origin']}:{document['path']}",
            place=(shard, row),
            size=len(text.encode()),
            signature=b"" if drop else signature(text, settings),
            drop=drop,
        )
        count += 1
    log.info("%s: %d documents examined", Path(shard).name, count)


def one_per_content(group: tuple[str, Iterable[Examined]]) -> Iterator[Any]:
    """Yield the document with the smallest name; the others as decisions, tagged ``copies``."""
    kept, *copies = sorted(group[1], key=lambda e: e.name)
    yield kept
    for copy in copies:
        decision = Decision(copy.place[1], "duplicate", f"same bytes as {kept.name}")
        yield beam.pvalue.TaggedOutput("copies", (copy.place[0], decision))


def _pairs(
    bucket: tuple[Any, Iterable[tuple[str, bytes]]], settings: CurateSettings
) -> Iterator[Pair]:
    yield from related_pairs(bucket[1], settings)


def _by_cluster(joined: tuple[str, dict[str, list[Any]]]) -> tuple[str, tuple[str, Examined]]:
    name, found = joined
    (document,) = found["document"]
    duplicate, related = found["cluster"][0] if found["cluster"] else (name, name)
    return duplicate, (related, document)


def one_per_cluster(
    group: tuple[str, Iterable[tuple[str, Examined]]], settings: CurateSettings
) -> Iterator[tuple[str, Decision]]:
    """Yield the decisions for a cluster of near duplicates.

    The longest one is kept, of equally long ones that with the smallest sha256. Its split is a hash
    of the larger cluster of related files, so that those never straddle the split.
    """
    members = sorted(group[1], key=lambda m: (-m[1].size, m[1].id))
    related, kept = members[0]
    heldout = _fraction(f"{settings.seed}:{related}") < settings.heldout_fraction
    yield kept.place[0], Decision(kept.place[1], split="heldout" if heldout else "train")
    for _, document in members[1:]:
        detail = f"like {kept.name} (sha256 {kept.id})"
        yield document.place[0], Decision(document.place[1], "near-duplicate", detail)


def _fraction(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
