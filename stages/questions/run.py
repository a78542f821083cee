"""Choose what checkpoints are asked, and write it as JSON lines."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cluster.dag.metrics import write_statistics
from cluster.dag.stage import StepContext
from model.frames import Trace
from model.trace import unmark
from stages.questions.patches import function_patches, program_patches
from stages.questions.settings import QuestionSettings
from stages.questions.twins import one_of_each, skeleton
from stages.tables import read_table
from stages.tasks.run import equals_an_argument
from stages.tokenize.asserts import why_not
from stages.tokenizer.sample import sample_by_hash

log = logging.getLogger(__name__)

Row = dict[str, Any]


class TwinError(ValueError):
    """A held-out program's shape is among those trained on; says how many."""


def run(context: StepContext) -> None:
    """Fill ``context.output`` with the four files."""
    settings: QuestionSettings = context.settings
    corpus, traces, trajectories = (
        context.inputs[name].path for name in ("corpus", "traces", "trajectories")
    )
    programs, statistics = choose_programs(traces, settings)
    foraged = sample_by_hash(
        ((row["key"], row, 1) for row in read_table(trajectories / "heldout")),
        budget=settings.trajectories,
        seed=settings.seed,
    )
    patches = program_patches(programs, count=settings.patches, seed=settings.seed)
    patches += function_patches(foraged)
    code = _code(corpus, settings)
    for name, rows in (
        ("programs", programs),
        ("patches", patches),
        ("trajectories", foraged),
        ("code", code),
    ):
        _write(context.output / f"{name}.jsonl", rows)
        statistics[name] = len(rows)
    statistics["program_patches"] = sum(row["source"] == "program" for row in patches)
    log.info("%s", statistics)
    write_statistics(context.statistics_file, statistics)


def choose_programs(traces: Path, settings: QuestionSettings) -> tuple[list[Row], dict[str, int]]:
    """Return one held-out call of each shape, in an order by hash, and what was left out.

    Raises `TwinError` when a training program has the shape of a held-out one.
    """
    known, shapes = set[str](), set[str]()
    for row in read_table(traces / "train", columns=["context", "group", "source"]):
        if row["source"] == "program":
            known.add(skeleton(unmark(row["context"])))
            shapes.add(row["group"])
    usable = [row for row in read_table(traces / "heldout") if _is_question(row)]
    if straddling := sum(row["group"] in shapes for row in usable):
        raise TwinError(f"{straddling} held-out programs are training programs with other names")
    ordered = sample_by_hash(
        ((row["key"], row, 1) for row in usable), budget=len(usable), seed=settings.seed
    )
    single = one_of_each(ordered)
    chosen = [_question(row, known) for row in single[: settings.programs]]
    counts = {
        "heldout_programs": len(usable),
        "same_shape_dropped": len(usable) - len(single),
        "twins": sum(row["twin"] for row in chosen),
        "equal_an_argument": sum(row["equals_argument"] for row in chosen),
    }
    return chosen, counts


def _is_question(row: Mapping[str, Any]) -> bool:
    return row["source"] == "program" and not why_not(row) and Trace.from_row(row).whole


def _question(row: Mapping[str, Any], known: set[str]) -> Row:
    source = unmark(row["context"])
    kept = ("key", "group", "context", "entry", "arguments", "result", "frames")
    return {
        **{name: row[name] for name in kept},
        "source": source,
        "twin": skeleton(source) in known,
        "equals_argument": equals_an_argument(row["arguments"], row["result"]),
    }


def _code(corpus: Path, settings: QuestionSettings) -> list[Row]:
    def sized() -> Iterable[tuple[str, Row, int]]:
        for row in read_table(corpus / "heldout", columns=["sha256", "text", "origin"]):
            text = row["text"].encode("utf-8", "replace")[: settings.document_bytes]
            shown = text.decode("utf-8", "ignore")
            if shown:
                yield row["sha256"], {**row, "text": shown}, len(shown.encode())

    return sample_by_hash(sized(), budget=settings.code_bytes, seed=settings.seed)


def _write(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with file.open("w") as lines:
        lines.writelines(json.dumps(row, sort_keys=True) + "\n" for row in rows)
