"""Every trace that a test makes is checked, without the test's doing.

`watch` stands between the tracer and its recordings, between the sandbox and what comes out of it,
and before the tables that stages write. `tests.conftest` starts it for the whole session; what a
pipeline in other processes wrote is checked in its store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.stages.trace.tracer.invariants import check_recording, check_row


def check_store(store: Path) -> None:
    """Check the traces that a pipeline left in a store."""
    from stages.tables import read_table

    for split in ("train", "heldout"):
        for folder in store.glob(f"trace/*/current/{split}"):
            for row in read_table(folder):
                check_row(row)


@contextmanager
def watch() -> Iterator[list[str]]:
    """Hold every trace to the invariants until the end of the block; yield what breaks them.

    Nothing is raised on the way: that would be in the middle of a traced program, which may well
    catch it.
    """
    import pyarrow.parquet as pq

    from stages.trace.tracer import Recording, Tracer

    broken: list[str] = []
    close, read, write = Tracer._close, Recording.from_json.__func__, pq.write_table

    def note(check: Callable[[Any], None], trace: Any, name: str) -> None:
        try:
            check(trace)
        except AssertionError as error:
            broken.append(f"{name}: {error}")

    def closed(self: Tracer, *arguments: Any) -> None:
        before = len(self.finished)
        close(self, *arguments)
        for recording in self.finished[before:]:
            note(check_recording, recording, recording.name)

    def made(cls: type[Recording], *arguments: Any) -> Recording:
        recording: Recording = read(cls, *arguments)
        note(check_recording, recording, recording.name)
        return recording

    def written(table: Any, *arguments: Any, **options: Any) -> None:
        if {"frames", "context", "coverage"} <= set(table.column_names):
            for row in table.to_pylist():
                if row["coverage"]:  # the stage says it; rows that a test writes by hand do not
                    note(check_row, row, row["name"])
        write(table, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tracer, "_close", closed)
        patch.setattr(Recording, "from_json", classmethod(made))
        patch.setattr(pq, "write_table", written)
        yield broken
