"""What a folder in HF's layout holds: which files are taken, their digests, origin and licence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from stages.imported.digests import file_digests
from stages.imported.settings import (
    ImportedCheckpointSettings,
    ImportedTokenizerSettings,
    ImportPlacement,
)
from stages.kinds import HISTORY

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "tokenizer.model",
)
INDEX = "model.safetensors.index.json"
UNKNOWN = "unknown"

_TEXTS = re.compile(r"(licen[cs]e|notice|use_policy|copying|readme)([-_.].*)?", re.IGNORECASE)
_LICENCE = re.compile(r"(licen[cs]e|copying)([-_.].*)?", re.IGNORECASE)
_HUB = re.compile(r"models--(?P<owner>[^/]+?)--(?P<name>[^/]+)/snapshots/(?P<revision>[0-9a-f]+)")


def checkpoint_files(folder: Path) -> list[str]:
    """Return the names of the files that make a checkpoint, those that are there."""
    weights = ["model.safetensors"]
    if (folder / INDEX).is_file():
        weights = [INDEX, *json.loads((folder / INDEX).read_text())["weight_map"].values()]
    return _there(folder, ["config.json", "generation_config.json", HISTORY, *weights])


def _there(folder: Path, names: Iterable[str]) -> list[str]:
    texts = [f.name for f in folder.iterdir() if _TEXTS.fullmatch(f.name) and f.is_file()]
    return sorted({n for n in (*names, *TOKENIZER_FILES, *texts) if (folder / n).is_file()})


def snapshot(settings: ImportedCheckpointSettings, placement: ImportPlacement) -> dict[str, Any]:
    """Return the digests of a checkpoint's files: what is in them, not where they lie."""
    folder = Path(placement.folder)
    return {"files": file_digests(folder, checkpoint_files(folder))}


def tokenizer_snapshot(
    settings: ImportedTokenizerSettings, placement: ImportPlacement
) -> dict[str, Any]:
    """Return the digests of a tokenizer's files."""
    folder = Path(placement.folder)
    return {"files": file_digests(folder, _there(folder, ()))}


def estimate(settings: ImportedCheckpointSettings, placement: ImportPlacement) -> dict[str, Any]:
    """Return the bytes of the files, and where they say that they are from."""
    folder = Path(placement.folder)
    size = sum((folder / name).stat().st_size for name in checkpoint_files(folder))
    return {"disk bytes": size, "origin": origin(folder), "licence": licence(folder)}


def origin(folder: Path) -> str:
    """Return where a folder is from, as far as it says.

    The model's name and revision in the cache of `huggingface_hub`, ``_name_or_path`` of its
    configuration, the step of this pipeline that made it, or the folder's own name.
    """
    if found := _HUB.search(str(folder.resolve())) or _HUB.search(str(folder)):
        return f"{found['owner']}/{found['name']} at {found['revision'][:12]}"
    name = _json(folder / "config.json").get("_name_or_path")
    if isinstance(name, str) and name and not Path(name).is_absolute():
        return name
    record = _json(folder / "artifact.json")
    if "fingerprint" in record:
        return f"{record.get('step')} {str(record['fingerprint'])[:12]}, made by this pipeline"
    return f"folder {folder.name}"


def licence(folder: Path) -> str:
    """Return the licence that a folder states: in its README's front matter, else the first line
    of its licence file, else `UNKNOWN`."""
    stated = _front_matter(folder / "README.md")
    names = [str(stated[n]) for n in ("license", "license_name") if stated.get(n)]
    if names:
        return " ".join(dict.fromkeys(name for name in names if name != "other")) or names[0]
    for file in sorted(folder.iterdir()):
        if _LICENCE.fullmatch(file.name) and file.is_file():
            lines = (line.strip() for line in file.read_text(errors="replace").splitlines())
            return f"{file.name}: {next((line for line in lines if line), 'empty')[:80]}"
    return UNKNOWN


def _front_matter(file: Path) -> dict[str, Any]:
    """Return the YAML between the first two lines of dashes of a model card."""
    text = file.read_text(errors="replace") if file.is_file() else ""
    found = re.match(r"---\n(.*?)\n---\s", text, re.DOTALL)
    try:
        value = yaml.safe_load(found[1]) if found else {}
    except yaml.YAMLError:  # a card that nobody can read states nothing
        value = {}
    return value if isinstance(value, dict) else {}


def _json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text())
    except (OSError, ValueError):  # what must be readable is checked before
        value = {}
    return value if isinstance(value, dict) else {}
