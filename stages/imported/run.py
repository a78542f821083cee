"""Make an artifact of an external folder: link or copy its files, and record where it is from."""

from __future__ import annotations

import json
import logging
import os
import shutil
from dataclasses import asdict
from pathlib import Path

from cluster.dag.metrics import write_statistics
from cluster.dag.stage import StepContext
from model.tokens import Tokenizer
from stages.imported.digests import file_digests
from stages.imported.folder import UNKNOWN, licence, origin
from stages.imported.settings import ImportedCheckpointSettings
from stages.kinds import HISTORY, IMPORT

log = logging.getLogger(__name__)


class FolderChangedError(ValueError):
    """A folder is not what it was when the run was planned; says which file differs."""


def run_checkpoint(context: StepContext) -> None:
    """Take a checkpoint's files; ``training.json`` says how much it was trained."""
    settings: ImportedCheckpointSettings = context.settings
    size = _take(context)
    if not (context.output / HISTORY).exists():
        names = ("steps", "tokens", "context_length", "precision")
        record = {name: getattr(settings, name) for name in names}
        (context.output / HISTORY).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    _complete_tokenizer(context)
    _record(context, {"bytes": size, **asdict(settings)})


def run_tokenizer(context: StepContext) -> None:
    """Take a tokenizer's files."""
    size = _take(context)
    tokenizer = _complete_tokenizer(context)
    _record(context, {"bytes": size, "vocab_size": tokenizer.vocab_size})


def _take(context: StepContext) -> int:
    """Link or copy the files of the snapshot; return their bytes.

    Raises `FolderChangedError` when one of them is another than the snapshot says.
    """
    folder, expected = Path(context.placement.folder), context.snapshot["files"]
    linked = sum([take_file(folder / name, context.output / name) for name in expected])
    found = file_digests(context.output, list(expected))
    if changed := [name for name in expected if found[name] != expected[name]]:
        raise FolderChangedError(
            f"{folder / changed[0]} changed since the run was planned; run again"
        )
    size = sum((context.output / name).stat().st_size for name in expected)
    log.info("%d files of %s, %d of them linked, %.1f GB", len(found), folder, linked, size / 1e9)
    return size


def take_file(source: Path, target: Path) -> bool:
    """Make ``target`` the file ``source``; True when by a hard link, False when by a copy.

    A copy where a link is refused: on another file system, of somebody else's file.
    """
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
        return False
    return True


def _complete_tokenizer(context: StepContext) -> Tokenizer:
    """Write those of the tokenizer's files that the folder has not."""
    output = context.output
    tokenizer = Tokenizer.load(output)
    missing = [n for n in ("tokenizer.json", "tokenizer_config.json") if not (output / n).exists()]
    if missing:
        made = context.scratch / "tokenizer"
        tokenizer.save(made)
        for name in missing:
            shutil.move(made / name, output / name)
    return tokenizer


def _record(context: StepContext, statistics: dict[str, object]) -> None:
    folder = Path(context.placement.folder)
    source = {"origin": origin(folder), "licence": licence(folder)}
    record = {**source, "folder": str(folder), "files": context.snapshot["files"]}
    (context.output / IMPORT).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    write_statistics(context.statistics_file, {**source, **statistics})
    if source["licence"] == UNKNOWN:
        log.warning("%s states no licence: find out what may be done with it", source["origin"])
