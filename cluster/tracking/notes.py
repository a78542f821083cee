"""Descriptions of runs: a short Markdown table whose first rows are links, because the UI folds
what follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cluster.tracking.names import model_link, run_link, search_link, short_digest

TAG = "mlflow.note.content"


def link(text: str, address: str) -> str:
    """Return a Markdown link."""
    return f"[{text}]({address})"


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Return a two-column Markdown table without a heading."""
    return "\n".join(["| | |", "|---|---|", *(f"| **{a}** | {b} |" for a, b in rows if b)])


def made_from(experiment: str, sources: Sequence[tuple[str, str, str]]) -> str:
    """Return the links to the inputs: (step, run id, model id); each may be "" but the step."""
    parts = []
    for step, run, model in sources:
        text = link(step, run_link(experiment, run)) if run else step
        if model:
            text += f" ({link('model', model_link(experiment, model))})"
        parts.append(text)
    return " · ".join(parts)


def used_by(experiment: str, kind: str, digest: str, model: str) -> str:
    """Return the link to whoever used what this run made: its model's page, or a search by
    digest.
    """
    if model:
        return link("the model's runs", model_link(experiment, model))
    query = f"dataset.digest = '{short_digest(digest)}'"
    return link(f"runs with this {kind}", search_link(experiment, query))


def short_path(path: str) -> str:
    """Return an artifact's path with its identifiers cut: a long line pushes the UI's side panel
    away.
    """
    return "/".join(part[:12] for part in path.split("/"))


def step_table(experiment: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the pipeline's table: rows have step, run, status, origin ("" unless cached) and
    model.
    """
    lines = ["| step | run | status | model |", "|---|---|---|---|"]
    for row in rows:
        status = row["status"]
        if row["origin"]:
            status = f"cached from {link(row['origin'][:8], run_link(experiment, row['origin']))}"
        model = link("model", model_link(experiment, row["model"])) if row["model"] else ""
        run = link(row["run"][:8], run_link(experiment, row["run"]))
        lines.append(f"| {row['step']} | {run} | {status} | {model} |")
    return "\n".join(lines)
