"""The training data of a stage: what its mix draws from, what a step sees, and what was seen.

    python -m stages.training.data --show                            all stages of ./runs
    python -m stages.training.data --show --stage sft --step 100     and what step 100 sees
    python -m stages.training.data --verify                          read every token file

Settings are those of the pipeline's last run, token files the latest that it made: so the data can
be looked at before they are trained on. What no loss is taken of is dim.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.training.mix import dataset_shares, entry_shares, used
from stages.training.rows import Cursor, Rows
from stages.training.settings import TrainingSettings
from stages.training.source import Source
from stages.training.token_file import TokenFile

STAGES = ("pretrain", "midtrain", "sft")


class StoreError(ValueError):
    """The store has not what is to be shown; says what is missing and how to make it."""


def open_rows(settings: TrainingSettings, folders: Mapping[str, Path]) -> Rows:
    """Return the packed rows of a stage in order; ``folders`` holds the mix's token files.

    Raises `TokenFileError` for a torn file, `EmptySourceError` for a data set without a document
    that fits, `EmptyBucketError` and `MixError`.
    """
    entries = {entry.dataset: entry for entry in used(settings.mix)}
    sources = [
        Source(TokenFile(folders[name]), entry, settings.context_length)
        for name, entry in entries.items()
    ]
    room = float(settings.steps * settings.tokens_per_step)
    rows = _rows(settings, sources, room)
    if any(entry.epochs for entry in settings.mix):
        # a stage's tokens are not known before its rows are packed: how full they are depends, a
        # little, on the shares
        rows = _rows(settings, sources, room * rows.fill)
    return rows


def _rows(settings: TrainingSettings, sources: list[Source], stage_tokens: float) -> Rows:
    tokens = {source.name: source.tokens for source in sources}
    shares = dataset_shares(entry_shares(settings.mix, settings.groups, tokens, stage_tokens))
    return Rows(
        sources,
        [shares[source.name] for source in sources],
        seed=settings.seed,
        row_tokens=settings.row_tokens,
        buckets=settings.buckets,
    )


def planned_epochs(settings: TrainingSettings, rows: Rows) -> dict[str, float]:
    """Return how often the whole stage goes through each data set."""
    tokens = settings.steps * settings.tokens_per_step * rows.fill
    return {
        source.name: share * tokens / source.tokens
        for source, share in zip(rows.sources, rows.shares, strict=True)
    }


def cursor_at(rows: Rows, step: int, rows_per_step: int) -> Cursor:
    """Return the cursor before ``step``; packs everything before it. ValueError below step 0."""
    if step < 0:
        raise ValueError(f"step {step}: the first is 0")
    cursor = Cursor()
    while cursor.step < step:
        _, cursor = rows.take(cursor, rows_per_step)
    return cursor


def pieces_taken(
    rows: Rows, first: Cursor, last: Cursor, rows_per_step: int
) -> list[tuple[str, str, int]]:
    """Return every piece that the steps from ``first`` to before ``last`` took, in their order.

    A piece is named by its data set, its document's provenance key and its first token's place in
    the token file. Raises ValueError when ``last`` is not where these steps end: then something was
    skipped or taken twice between the two.
    """
    keys = [file.keys for file in rows.files]
    pieces, cursor = [], first
    while cursor.step < last.step:
        taken, cursor = rows.take(cursor, rows_per_step)
        for row in taken:
            for source, start in zip(row.source, row.start, strict=True):
                document = rows.files[source].document_at(start)
                pieces.append((rows.sources[source].name, keys[source][document], start))
    if cursor != last:
        raise ValueError(f"{last.step - first.step} steps from {first} end at {cursor}, not {last}")
    return pieces


def recorded(folder: Path, step: str) -> tuple[TrainingSettings, dict[str, Path]]:
    """Return a training step's settings in a pipeline's last run, and the folders of its data sets
    and ``tokenizer``.

    ``folder`` is the pipeline's in the store. Raises `StoreError`.
    """
    from pydantic import TypeAdapter  # a quarter of a second

    config, latest = _read(folder / "config.json")["steps"], _read(folder / "latest.json")
    if step not in config:
        raise StoreError(f"{folder} has no step {step!r}; steps: {', '.join(config)}")
    settings = TypeAdapter(TrainingSettings).validate_python(config[step]["settings"])
    makers = {entry.dataset: f"tokenize.{entry.dataset}" for entry in used(settings.mix)}
    makers["tokenizer"] = "tokenizer"
    if missing := [maker for maker in makers.values() if maker not in latest]:
        raise StoreError(
            f"{folder} has no artifact of {', '.join(missing)} yet: run the pipeline with "
            f"--only {missing[0]}"
        )
    store = folder.parents[1]
    return settings, {name: store / latest[maker] for name, maker in makers.items()}


def _pipeline(store: Path, name: str | None) -> Path:
    """Return the folder of a pipeline in the store; None stands for the only one."""
    found = sorted(file.parent.name for file in store.glob("pipelines/*/latest.json"))
    if name is None and len(found) != 1:
        raise StoreError(
            f"{store} holds {'no pipeline' if not found else 'the pipelines ' + ', '.join(found)}: "
            "name one with --pipeline, or another store with --store"
        )
    return store / "pipelines" / (name or found[0])


def _training_steps(folder: Path) -> list[str]:
    steps = _read(folder / "config.json")["steps"]
    return [step for step in steps if step.split(".")[0] in STAGES]


def _read(file: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        raise StoreError(f"there is no {file}: run the pipeline first") from None
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stages.training.data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--show", action="store_true", help="print the mix as a tree (default)")
    parser.add_argument("--step", type=int, help="print also the documents that this step sees")
    parser.add_argument("--verify", action="store_true", help="compare the files' sha256 and ids")
    parser.add_argument("--stage", help="a training step; default: all")
    parser.add_argument(
        "--store",
        type=Path,
        default=Path(os.environ.get("CWM_STORE", "runs")),
        help="where artifacts lie; else CWM_STORE, else ./runs",
    )
    parser.add_argument("--pipeline", help="such as full.tiny; default: the store's only one")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 1, with a message, when the store or a token file is not right."""
    from rich.console import Console

    from model.tokens import Tokenizer
    from stages.training.show import show_mix, show_step

    asked = _parser().parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    try:
        folder = _pipeline(asked.store, asked.pipeline)
        for stage in [asked.stage] if asked.stage else _training_steps(folder):
            settings, folders = recorded(folder, stage)
            tokenizer = Tokenizer.load(folders.pop("tokenizer"))
            if asked.verify:
                _verify(folders, console)
            if asked.show or not asked.verify:
                rows = open_rows(settings, folders)
                show_mix(stage, settings, rows, console)
                if asked.step is not None:
                    show_step(settings, rows, asked.step, tokenizer, console)
    except ValueError as error:  # each names what is wrong and what to do
        console.print(f"{type(error).__name__}: {error}", style="red", markup=False)
        return 1
    return 0


def _verify(folders: Mapping[str, Path], console: Any) -> None:
    for name, folder in folders.items():
        for part in (folder, folder / "heldout"):
            if part.is_dir():
                file = TokenFile(part)
                file.verify()
                console.print(f"{part}: {name}, {len(file):,} documents as they were written")


if __name__ == "__main__":
    sys.exit(main())
