"""Rows of the tables that stages exchange, made from a few arguments."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from stages.tables import DOCUMENTS, DROPPED, TRACES, write_table
from tests.model.recording import record

PROGRAM = """def f(a, b):
    y = 0
    for i in range(a, b + {step}):
        y += i
    return y

def main():  # << START_OF_TRACE
    return f({a}, {b})
"""


PLAIN_TRACE = {
    "source": "program",
    "document": "",
    "origin": "generator",
    "licence": "Apache-2.0",
    "entry": "main",
    "arguments": "",
    "literal": True,
    "input_method": "generated",
    "revision": "",
    "test": "",
    "pair": "",
    "side": "",
    "coverage": "",
    "tampered": False,
    "deterministic": True,
    "outcome": "return",
    "episode": 0,
    "python": "3.11",
    "sandbox": "bwrap",
}
"""What most columns of a generated program's whole trace hold."""


def document_row(text: str, origin: str = "cpython") -> dict:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {
        "sha256": digest,
        "blob": digest[:40],
        "text": text,
        "language": "python",
        "source": "stdlib",
        "origin": origin,
        "revision": "3.11",
        "path": f"{digest[:8]}.py",
        "licence": "PSF-2.0",
        "licence_method": "classifier",
        "fetched_at": "",
    }


def program_row(a: int = 1, b: int = 3, step: int = 1, **changes: object) -> dict:
    """Return the row of a real trace of `PROGRAM`; ``changes`` replace columns."""
    trace = record(PROGRAM.format(a=a, b=b, step=step))
    row = {
        **PLAIN_TRACE,
        "key": hashlib.sha256(repr(trace).encode()).hexdigest(),
        "name": f"{a}:{b}:{step}",
        "context": trace.context,
        "frames": [frame.to_row() for frame in trace.frames],
        "result": trace.frames[-1].value,
        "group": f"{a}",
    }
    return row | changes


def write_splits(folder: Path, schema, train: Iterable[dict], heldout: Iterable[dict] = ()) -> Path:
    """Write a corpus-like artifact: two splits and no drops."""
    write_table(folder / "train", schema, train)
    write_table(folder / "heldout", schema, heldout)
    write_table(folder / "dropped", DROPPED, [])
    return folder


def write_corpus(folder: Path, train: Iterable[str], heldout: Iterable[str] = ()) -> Path:
    return write_splits(folder, DOCUMENTS, map(document_row, train), map(document_row, heldout))


def write_traces(folder: Path, train: Iterable[dict], heldout: Iterable[dict] = ()) -> Path:
    return write_splits(folder, TRACES, train, heldout)
