"""The kinds of artifact that stages exchange: each names its check and the digest of its content.

What each directory holds, and which stage makes it::

    documents    documents/ dropped/                       crawl (rows: DOCUMENTS, DROPPED)
    corpus       train/ heldout/ dropped/                  curate (rows: DOCUMENTS, DROPPED)
    traces       train/ heldout/ dropped/                  trace (rows: TRACES, DROPPED)
    trajectories train/ heldout/ dropped/                  forage (rows: TRAJECTORIES, DROPPED)
    tasks        train.jsonl heldout.jsonl                 tasks (see stages.tasks.task)
    tokenizer    tokenizer.json tokenizer_config.json …    tokenizer
    tokens       tokens.bin loss.bin ends.npy keys.txt meta.json heldout/   tokenize
    checkpoint   config.json model.safetensors tokenizer files [optimizer/]
    evaluation   results.json examples.jsonl               evaluate
    report       index.html                                report
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from cluster.dag.stage import Kind
from stages.tables import DOCUMENTS as DOCUMENT_ROWS
from stages.tables import DROPPED, check_table, table_digest
from stages.tables import TRACES as TRACE_ROWS
from stages.tables import TRAJECTORIES as TRAJECTORY_ROWS


class KindError(ValueError):
    """An artifact breaks its kind's contract; says which file is missing or wrong."""


def _digest_of(folder: Path, *tables: str) -> str:
    parts = [table_digest(folder / table) for table in tables]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def check_documents(folder: Path) -> None:
    """Check crawl's output: kept documents and dropped files."""
    check_table(folder / "documents", DOCUMENT_ROWS)
    check_table(folder / "dropped", DROPPED)


def digest_documents(folder: Path) -> str:
    """Digest of the kept documents: what curation can see."""
    return _digest_of(folder, "documents")


def check_corpus(folder: Path) -> None:
    """Check curate's output: two splits and the drops."""
    for split in ("train", "heldout"):
        check_table(folder / split, DOCUMENT_ROWS)
    check_table(folder / "dropped", DROPPED)


def check_traces(folder: Path) -> None:
    """Check trace's output."""
    for split in ("train", "heldout"):
        check_table(folder / split, TRACE_ROWS)
    check_table(folder / "dropped", DROPPED)


def check_trajectories(folder: Path) -> None:
    """Check forage's output."""
    for split in ("train", "heldout"):
        check_table(folder / split, TRAJECTORY_ROWS)
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
    _need(folder, "config.json", "model.safetensors", "tokenizer.json")


def digest_checkpoint(folder: Path) -> str:
    """Digest over the named tensors, in name order, and the configuration."""
    from safetensors import safe_open  # heavy (numpy); digests are taken in the step's own process

    digest = hashlib.sha256(
        json.dumps(json.loads((folder / "config.json").read_text()), sort_keys=True).encode()
    )
    with safe_open(folder / "model.safetensors", framework="np") as tensors:
        for name in sorted(tensors.keys()):
            tensor = tensors.get_tensor(name)
            digest.update(f"{name}{tensor.shape}{tensor.dtype}".encode())
            digest.update(tensor.tobytes())
    return digest.hexdigest()


def check_evaluation(folder: Path) -> None:
    """Check an evaluation's results and examples."""
    _need(folder, "results.json", "examples.jsonl")


def digest_evaluation(folder: Path) -> str:
    """Digest of the results."""
    return hashlib.sha256((folder / "results.json").read_bytes()).hexdigest()


def check_report(folder: Path) -> None:
    """Check that the page is there."""
    _need(folder, "index.html")


_HERE = "stages.kinds"
DOCUMENTS = Kind(
    name="documents", check=f"{_HERE}:check_documents", digest=f"{_HERE}:digest_documents"
)
CORPUS = Kind(name="corpus", check=f"{_HERE}:check_corpus", digest=f"{_HERE}:digest_splits")
TRACES = Kind(name="traces", check=f"{_HERE}:check_traces", digest=f"{_HERE}:digest_splits")
TRAJECTORIES = Kind(
    name="trajectories", check=f"{_HERE}:check_trajectories", digest=f"{_HERE}:digest_splits"
)
TASKS = Kind(name="tasks", check=f"{_HERE}:check_tasks", digest=f"{_HERE}:digest_tasks")
TOKENIZER = Kind(
    name="tokenizer", check=f"{_HERE}:check_tokenizer", digest=f"{_HERE}:digest_tokenizer"
)
TOKENS = Kind(name="tokens", check=f"{_HERE}:check_tokens", digest=f"{_HERE}:digest_tokens")
CHECKPOINT = Kind(
    name="checkpoint", check=f"{_HERE}:check_checkpoint", digest=f"{_HERE}:digest_checkpoint"
)
EVALUATION = Kind(
    name="evaluation", check=f"{_HERE}:check_evaluation", digest=f"{_HERE}:digest_evaluation"
)
REPORT = Kind(name="report", check=f"{_HERE}:check_report")
