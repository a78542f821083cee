"""The licence of a repository: what the settings state, or what its own metadata says."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackagePath
from pathlib import Path

from stages.crawl.licences import licence_of, normalise
from stages.trace.repository.errors import RepositoryError
from stages.trace.repository.settings import RepositorySettings
from stages.trace.repository.tree import Tree

_METADATA = "PKG-INFO"
_PROJECT = "pyproject.toml"


@dataclass(slots=True)
class _Text:
    """A licence file, as `importlib.metadata` has those of an installed distribution."""

    parts: tuple[str, ...]
    name: str
    text: str

    def read_text(self, encoding: str = "utf-8") -> str:
        return self.text


class _Unpacked(Distribution):
    """A repository's metadata, read as if it were installed."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files

    def read_text(self, filename: str) -> str | None:
        if filename not in ("METADATA", _METADATA):
            return None
        return self._files.get(_METADATA) or _core_metadata(self._files.get(_PROJECT, ""))

    def locate_file(self, path: object) -> Path:
        return Path(str(path))

    @property
    def files(self) -> list[PackagePath]:
        found = self._files.items()  # what the licences ask of a file, a text has
        return [_Text(("x.dist-info", name), name, text) for name, text in found]  # type: ignore


def _core_metadata(project: str) -> str:
    """Return a pyproject's table as metadata, as far as it is about the licence."""
    try:
        table = tomllib.loads(project).get("project", {})
    except tomllib.TOMLDecodeError:
        table = {}
    lines = ["Metadata-Version: 2.4", f"Name: {table.get('name', 'unknown')}"]
    licence = table.get("license", "")
    if isinstance(licence, str) and licence:
        lines.append(f"License-Expression: {licence}")
    elif isinstance(licence, dict) and "\n" not in licence.get("text", "\n"):
        lines.append(f"License: {licence['text']}")
    lines += [f"Classifier: {each}" for each in table.get("classifiers", ())]
    return "\n".join(lines) + "\n\n"


def licence_of_tree(tree: Tree, settings: RepositorySettings) -> str:
    """Return the SPDX expression; raises `RepositoryError` when none is stated clearly."""
    if settings.licence:
        stated = normalise(settings.licence)
        if stated is None:
            raise RepositoryError(
                f"licence={settings.licence!r} of {settings.name} is no SPDX expression"
            )
        return stated
    names = [
        name
        for name in sorted(tree.files)
        if "/" not in name and name.lower().startswith(("license", "licence", "copying"))
    ]
    contents = tree.read([_METADATA, _PROJECT, *names])
    texts = {name: body.decode(errors="replace") for name, body in contents.items()}
    found = licence_of(_Unpacked(texts))
    if found is None:
        raise RepositoryError(
            f"{settings.name} names no licence clearly in {_METADATA} or {_PROJECT}:"
            " state it (licence=SPDX expression)"
        )
    return found.expression
