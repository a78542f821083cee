"""The rows that each rendering reads: of which artifact, which columns, how they are counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.dag.stage import Input, resolve
from stages.tables import read_table
from stages.tokenize.asserts import COLUMNS as ASSERT_COLUMNS
from stages.tokenize.document import Renderer, Row
from stages.tokenize.settings import Rendering


class WrongSourceError(ValueError):
    """A rendering was given another kind of artifact than it reads; names both."""


@dataclass(frozen=True, slots=True)
class Source:
    """How one rendering reads its rows.

    ``renderer`` names a `Renderer`. ``key`` is the column of a row's provenance key, ``group`` the
    one by which documents and tokens are counted (besides "origin"). ``columns`` are read from a
    table; () is a file of tasks.
    """

    kind: str
    renderer: str
    key: str
    group: str
    columns: tuple[str, ...]

    @property
    def render(self) -> Renderer:
        """The function that `renderer` names."""
        return resolve(self.renderer)

    def rows(self, folder: Path, split: str) -> Iterator[Row]:
        """Yield the rows of ``split`` ("train" or "heldout")."""
        if self.columns:
            yield from read_table(folder / split, columns=list(self.columns))
            return
        from stages.tasks.task import read_tasks

        for task in read_tasks(folder / f"{split}.jsonl"):
            yield {"id": task.id, "kind": task.kind, "origin": task.origin, "task": task}


SOURCES: dict[Rendering, Source] = {
    "code": Source(
        kind="corpus",
        renderer="stages.tokenize.code:render_code",
        key="sha256",
        group="source",
        columns=("sha256", "source", "origin", "text"),
    ),
    "asserts": Source(
        kind="traces",
        renderer="stages.tokenize.asserts:render_asserts",
        key="key",
        group="source",
        columns=("key", "source", "origin", *ASSERT_COLUMNS),
    ),
    "traces": Source(
        kind="traces",
        renderer="stages.tokenize.traces:render_traces",
        key="key",
        group="source",
        columns=("key", "source", "origin", "context", "frames"),
    ),
    "traced_asserts": Source(
        kind="traces",
        renderer="stages.tokenize.traced_asserts:render_traced_asserts",
        key="key",
        group="source",
        columns=("key", "source", "origin", "frames", *ASSERT_COLUMNS),
    ),
    "prose": Source(
        kind="traces",
        renderer="stages.tokenize.prose:render_prose",
        key="key",
        group="source",
        columns=("key", "source", "origin", "frames", *ASSERT_COLUMNS),
    ),
    "debugger": Source(
        kind="traces",
        renderer="stages.tokenize.debugger:render_debugger",
        key="key",
        group="source",
        columns=("key", "source", "origin", "context", "frames"),
    ),
    "trajectories": Source(
        kind="trajectories",
        renderer="stages.tokenize.trajectories:render_trajectories",
        key="key",
        group="family",
        columns=("key", "family", "origin", "turns"),
    ),
    "chats": Source(
        kind="tasks",
        renderer="stages.tokenize.chats:render_chats",
        key="id",
        group="kind",
        columns=(),
    ),
    "reasoning": Source(
        kind="tasks",
        renderer="stages.tokenize.reasoning:render_reasoning",
        key="id",
        group="kind",
        columns=(),
    ),
    "tool_use": Source(
        kind="trajectories",
        renderer="stages.tokenize.tool_use:render_tool_use",
        key="key",
        group="family",
        columns=("key", "family", "origin", "outcome", "turns"),
    ),
}


def source_of(rendering: Rendering, given: Input) -> Source:
    """Return how ``rendering`` reads ``given``; raise `WrongSourceError` for another kind."""
    source = SOURCES[rendering]
    if given.kind != source.kind:
        raise WrongSourceError(
            f"rendering {rendering!r} reads {source.kind}, not {given.kind} ({given.path})"
        )
    return source
