"""Print the walk from a number to the checkpoint, the data and the files behind it.

    python -m cluster.tracking.lineage traces.changed_state      # the newest evaluation that has it
    python -m cluster.tracking.lineage evaluate.rl --files       # every file, with its identifiers
    python -m cluster.tracking.lineage RUN|ARTIFACT|METRIC --json

The walk reads the artifacts' own records; MLflow is asked only for the id of a run that made no
artifact (a cached step, or a whole pipeline).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from cluster.tracking.address import remembered
from cluster.tracking.documents import SourceFile, by_origin, source_files
from cluster.tracking.names import run_link
from cluster.tracking.walk import LineageError, Node, Store, imported


def find(store: Store, target: str) -> tuple[Node, str | None]:
    """Return the node that ``target`` names, and the metric when it names one.

    ``target`` is a path, a step, a metric, the beginning of an identifier, or an MLflow run id.
    Raises `LineageError` that lists what there is.
    """
    place = store.by_path(target) or store.by_step(target)
    if place is None and (found := store.by_metric(target)) is not None:
        return store.walk(found), target
    place = place or store.by_prefix(target) or _by_tracked_run(store, target)
    if place is None:
        steps = sorted({str(record["step"]) for record in store.records.values()})
        metrics = sorted({name for found in store.evaluations().values() for name in found})
        raise LineageError(
            f"{target!r} is no artifact, step, metric, identifier or run of {store.root}.\n"
            f"steps: {', '.join(steps) or 'none'}\nmetrics: {', '.join(metrics) or 'none'}"
        )
    return store.walk(place), None


def _by_tracked_run(store: Store, run_id: str) -> Path | None:
    """Return the artifact of a run that only MLflow knows: a cached step's, or a pipeline's
    newest.
    """
    memory = remembered(store.root)
    if not memory or len(run_id) != 32:
        return None
    from cluster.tracking.runs import artifact_of_run

    place = artifact_of_run(memory["uri"], memory["experiment"], run_id)
    return store.root / place if place and store.root / place in store.records else None


def tree(node: Node, metric: str | None = None) -> Tree:
    """Return the walk as a tree; what was shown before is referred to, not repeated."""
    root = Tree(_label(node))
    _add_source(root, node)
    if metric:
        found = _metric(node, metric)
        root.add(f"[bold]{escape(metric)} = {found['value']:.6g}[/] ± {_spread(found)}")
    shown: set[Path] = {node.path}

    def grow(branch: Tree, parent: Node) -> None:
        for name, child in parent.inputs.items():
            if child.path in shown:
                branch.add(f"{escape(name)}: {escape(child.step)} [dim](shown above)[/]")
                continue
            shown.add(child.path)
            below = branch.add(f"{escape(name)}: {_label(child)}")
            _add_source(below, child)
            grow(below, child)

    grow(root, node)
    return root


def _add_source(branch: Tree, node: Node) -> None:
    """Say where something that was imported is from, and under which licence."""
    if (source := imported(node)) is not None:
        branch.add(f"imported from {escape(source['origin'])}")
        branch.add(f"licence {escape(source['licence'])}")
        branch.add(f"digest [dim]{node.record['content_digest']}[/]")


def _metric(node: Node, metric: str) -> dict[str, Any]:
    results = json.loads((node.path / "results.json").read_text())
    return next(entry for entry in results["metrics"] if entry["name"] == metric)


def _spread(entry: dict[str, Any]) -> str:
    se, n = entry.get("se"), entry.get("n")
    return f"{se:.2g} (n {n})" if se is not None else f"– (n {n})"


def _label(node: Node) -> str:
    return f"[bold]{escape(node.step)}[/] [dim]({escape(node.kind)} {_short(node)})[/]"


def _short(node: Node) -> str:
    return str(node.record["fingerprint"])[:12]


def places(node: Node, experiment: str) -> list[str]:
    """Return, for each artifact on the walk, its step, its directory and its run's address in
    the UI.
    """
    lines = []
    for found in node.everything():
        run = found.record.get("run_id") or ""
        lines.append(f"{found.step} {_short(found)}  {found.path}")
        if run:
            lines.append(f"    run {run_link(experiment, run) if experiment else run}")
    return lines


def origins_table(files: list[SourceFile]) -> Table:
    """Return one line per distribution or repository: version, licence, files and bytes."""
    origins = by_origin(files)
    table = Table(title=f"{len(files)} files of {len(origins)} origins")
    for heading in ("origin", "version", "licence"):
        table.add_column(heading, overflow="fold")
    table.add_column("files", justify="right")
    table.add_column("bytes", justify="right")
    for o in origins:
        table.add_row(o.origin, o.revision, o.licence, f"{o.files:,}", f"{o.bytes:,}")
    return table


def as_json(target: str, node: Node, metric: str | None, files: list[SourceFile]) -> dict[str, Any]:
    """Return the walk as plain data: its artifacts nearest first, the origins, and every file."""
    artifacts = [
        {
            "step": found.step,
            "kind": found.kind,
            "fingerprint": found.record["fingerprint"],
            "path": str(found.path),
            "run_id": found.record.get("run_id") or "",
            "imported": imported(found),
            "inputs": {name: str(child.path) for name, child in found.inputs.items()},
        }
        for found in node.everything()
    ]
    return {
        "target": target,
        "metric": _metric(node, metric) if metric else None,
        "artifacts": artifacts,
        "origins": [dataclasses.asdict(origin) for origin in by_origin(files)],
        "files": [dataclasses.asdict(file) | {"swhid": file.swhid} for file in files],
    }


def _print_files(files: list[SourceFile]) -> None:
    for f in files:
        uses = ",".join(f.uses)
        print("\t".join((f.sha256, f.swhid, f.origin, f.revision, f.licence, f.path, uses)))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m cluster.tracking.lineage", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("target", help="a metric, a step, an artifact's path, an identifier, a run")
    parser.add_argument("--store", type=Path, default=Path(os.environ.get("CWM_STORE", "runs")))
    parser.add_argument("--files", action="store_true", help="list every file")
    parser.add_argument("--json", action="store_true", help="print everything for machines")
    options = parser.parse_args(arguments)
    try:
        store = Store(options.store)
        node, metric = find(store, options.target)
        files = source_files(node, metric)
    except LineageError as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(as_json(options.target, node, metric, files), indent=1))
    elif options.files:
        _print_files(files)
    else:
        Console().print(tree(node, metric))
        print("", *places(node, remembered(store.root).get("experiment", "")), "", sep="\n")
        Console().print(origins_table(files))
    return 0


if __name__ == "__main__":
    sys.exit(main())
