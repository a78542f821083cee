"""What is in a store, and removing what nothing needs.

python -m cluster.dag list [--store DIR]            every artifact, its size, who keeps it
python -m cluster.dag gc [--store DIR] [--delete]   what would go; with --delete it goes
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Annotated, Literal

import tyro

from cluster.dag.errors import DagError
from cluster.dag.gc import collect, describe, survey
from cluster.dag.store import Store
from cluster.ray_session import store_path


@dataclasses.dataclass(frozen=True)
class Options:
    """Look into a store of artifacts, or remove what nothing needs."""

    command: Annotated[Literal["list", "gc"], tyro.conf.Positional]
    """list what is there, or gc: what no latest artifact of any preset reaches."""
    store: str | None = None
    """Where artifacts lie. Else CWM_STORE, else ./runs."""
    delete: bool = False
    """gc removes; without it, it only says what it would remove."""


def main(arguments: list[str]) -> int:
    """Run the command and return the exit code."""
    options = tyro.cli(Options, args=arguments, prog="python -m cluster.dag")
    try:
        store = Store(store_path(options.store)[0])
        if options.command == "list":
            items, words = survey(store), "in"
        elif options.delete:
            items, words = collect(store), "removed from"
        else:
            items = [item for item in survey(store) if not item.kept_by]
            words = "not needed (remove with --delete) in"
    except DagError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    for line in describe(items):
        print(line)
    print(
        f"{len(items)} directories, {sum(i.size for i in items) / 1e6:.1f} MB {words} {store.path}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
