"""Bits per byte of held-out code: the model, a byte trigram and gzip on the same bytes."""

from __future__ import annotations

import gzip
import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stages.evaluate.estimate import Observation, ratio
from stages.evaluate.record import Record
from stages.evaluate.settings import EvaluateSettings
from stages.evaluate.subject import Subject
from stages.evaluate.trigram import Trigram
from stages.tables import read_table
from stages.tokenizer.sample import sample_by_hash

log = logging.getLogger(__name__)


def head(text: str, limit: int) -> str:
    """Return the longest beginning of ``text`` with at most ``limit`` UTF-8 bytes."""
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def sample_documents(
    folder: Path, *, budget: int, document_bytes: int, seed: int
) -> list[dict[str, Any]]:
    """Return rows of a documents table, texts cut, at most ``budget`` bytes of them."""

    def sized() -> Iterator[tuple[str, dict[str, Any], int]]:
        columns = ["sha256", "text", "origin", "path", "licence"]
        for row in read_table(folder, columns=columns):
            row["text"] = head(row["text"], document_bytes)
            if row["text"]:
                yield row["sha256"], row, len(row["text"].encode())

    return sample_by_hash(sized(), budget=budget, seed=seed)


def gzip_bits(data: bytes) -> int:
    """Return the size of ``data`` compressed on its own, in bits."""
    return 8 * len(gzip.compress(data, 9, mtime=0))


def measure(subject: Subject, record: Record, corpus: Path, settings: EvaluateSettings) -> None:
    """Add ``code.bits_per_byte``: all bits of the documents over all their bytes."""
    if not settings.code_bytes:
        return
    chosen = sample_documents(
        corpus / "heldout",
        budget=settings.code_bytes,
        document_bytes=settings.document_bytes,
        seed=settings.seed,
    )
    texts = [row["text"] for row in chosen]
    bos = subject.tokenizer.special("bos")
    nats = subject.losses([[bos, *ids] for ids in subject.tokenizer.encode_batch(texts)])
    documents = [text.encode() for text in texts]
    log.info("counting the trigram on %d bytes", settings.trigram_bytes)
    # a file never dominates the counts either
    training = sample_documents(
        corpus / "train",
        budget=settings.trigram_bytes,
        document_bytes=8 * settings.document_bytes,
        seed=settings.seed,
    )
    trigram = Trigram(row["text"].encode() for row in training)
    keys = [row["sha256"] for row in chosen]
    record.add(
        "code.bits_per_byte",
        _per_byte(keys, [n / math.log(2) for n in nats], documents),
        baselines={
            "trigram": ratio(_per_byte(keys, [trigram.bits(d) for d in documents], documents)),
            "gzip": ratio(_per_byte(keys, [gzip_bits(d) for d in documents], documents)),
        },
        better="lower",
        unit="bits/byte",
    )


def _per_byte(
    keys: Sequence[str], bits: Sequence[float], documents: Sequence[bytes]
) -> list[Observation]:
    measured = zip(keys, bits, documents, strict=True)
    return [Observation(key, cost, len(document)) for key, cost, document in measured]
