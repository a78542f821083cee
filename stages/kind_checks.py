"""What each kind of artifact must hold, and the digest of its content; see `stages.kinds`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from stages.tables import (
    DOCUMENTS,
    DROPPED,
    TRACES,
    TRAJECTORIES,
    check_table,
    table_digest,
)


class KindError(ValueError):
    """An artifact breaks its kind's contract; says which file is missing or wrong."""


def _digest_of(folder: Path, *tables: str) -> str:
    parts = [table_digest(folder / table) for table in tables]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def check_documents(folder: Path) -> None:
    """Check crawl's output: kept documents and dropped files."""
    check_table(folder / "documents", DOCUMENTS)
    check_table(folder / "dropped", DROPPED)


def digest_documents(folder: Path) -> str:
    """Digest of the kept documents: what curation can see."""
    return _digest_of(folder, "documents")


def check_corpus(folder: Path) -> None:
    """Check curate's output: two splits and the drops."""
    for split in ("train", "heldout"):
        check_table(folder / split, DOCUMENTS)
    check_table(folder / "dropped", DROPPED)


def check_traces(folder: Path) -> None:
    """Check trace's output."""
    for split in ("train", "heldout"):
        check_table(folder / split, TRACES)
    check_table(folder / "dropped", DROPPED)


def check_trajectories(folder: Path) -> None:
    """Check forage's output."""
    for split in ("train", "heldout"):
        check_table(folder / split, TRAJECTORIES)
    check_table(folder / "dropped", DROPPED)


def digest_splits(folder: Path) -> str:
    """Digest of the train and held-out tables."""
    return _digest_of(folder, "train", "heldout")


def _need(folder: Path, *names: str) -> None:
    for name in names:
        if not (folder / name).is_file():
            raise KindError(f"{folder} has no {name}")


def check_tasks(folder: Path) -> None:
    """Check the two task files."""
    _need(folder, "train.jsonl", "heldout.jsonl")


def digest_tasks(folder: Path) -> str:
    """Digest of the two task files."""
    parts = [
        hashlib.sha256((folder / n).read_bytes()).hexdigest()
        for n in ("train.jsonl", "heldout.jsonl")
    ]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def check_tokenizer(folder: Path) -> None:
    """Check that the tokenizer can be loaded by its file names."""
    _need(folder, "tokenizer.json", "tokenizer_config.json")


def digest_tokenizer(folder: Path) -> str:
    """Digest of the tokenizer's definition."""
    return hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest()


def _token_files(folder: Path) -> list[Path]:
    heldout = folder / "heldout"
    return [folder, heldout] if heldout.is_dir() else [folder]


def check_tokens(folder: Path) -> None:
    """Check a token file's parts, and those of the held-out one beside it."""
    for part in _token_files(folder):
        _need(part, "tokens.bin", "loss.bin", "ends.npy", "keys.txt", "meta.json")


def digest_tokens(folder: Path) -> str:
    """Digest of tokens, loss weights and document ends, held out ones included."""
    parts = [
        hashlib.sha256((part / n).read_bytes()).hexdigest()
        for part in _token_files(folder)
        for n in ("tokens.bin", "loss.bin", "ends.npy")
    ]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def check_checkpoint(folder: Path) -> None:
    """Check that a checkpoint has its weights, configuration and tokenizer."""
    _need(folder, "config.json", "tokenizer.json", *_weight_files(folder))


def _weight_files(folder: Path) -> list[str]:
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return ["model.safetensors"]
    return sorted(set(json.loads(index.read_text())["weight_map"].values()))


def digest_checkpoint(folder: Path) -> str:
    """Digest over the named tensors, in name order, the configuration and the history.

    How much a checkpoint was trained, and whether it brings its optimizer along, is seen by the
    stage that goes on from it; how it is cut into files is not.
    """
    digest = hashlib.sha256()
    for name in ("config.json", "training.json"):
        if (folder / name).is_file():
            value = json.loads((folder / name).read_text())
            digest.update(json.dumps([name, value], sort_keys=True).encode())
    digest.update(f"optimizer: {(folder / 'optimizer').is_dir()}".encode())
    tensors = [t for file in _weight_files(folder) for t in _tensors(folder / file)]
    for name, kind, shape, file, start, size in sorted(tensors):
        digest.update(f"{name}{shape}{kind}".encode())
        _update(digest, file, start, size)
    return digest.hexdigest()


def _tensors(file: Path) -> Iterator[tuple[str, str, str, Path, int, int]]:
    """Yield (name, dtype, shape, file, first byte, bytes) of a safetensors file's tensors.

    By the header alone: eight bytes with its length, then JSON.
    """
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        yield name, entry["dtype"], str(entry["shape"]), file, 8 + length + start, end - start


def _update(digest: hashlib._Hash, file: Path, start: int, size: int) -> None:
    """Add ``size`` bytes of a file, which may be gigabytes."""
    with file.open("rb") as stream:
        stream.seek(start)
        while size and (chunk := stream.read(min(size, 1 << 22))):
            digest.update(chunk)
            size -= len(chunk)


def check_evaluation(folder: Path) -> None:
    """Check an evaluation's results and examples."""
    _need(folder, "results.json", "examples.jsonl")


def digest_evaluation(folder: Path) -> str:
    """Digest of the results."""
    return hashlib.sha256((folder / "results.json").read_bytes()).hexdigest()


def check_report(folder: Path) -> None:
    """Check that the page is there."""
    _need(folder, "index.html")


def check_questions(folder: Path) -> None:
    """Check that the four files of questions are there."""
    _need(folder, "programs.jsonl", "patches.jsonl", "trajectories.jsonl", "code.jsonl")


def check_items(folder: Path) -> None:
    """Check that a probe's items are there."""
    _need(folder, "items.jsonl")
