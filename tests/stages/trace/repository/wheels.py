"""Wheels of what is installed here, so that an environment can be made without a network."""

from __future__ import annotations

import zipfile
from importlib.metadata import distribution
from pathlib import Path


def pack_installed(names: tuple[str, ...], folder: Path) -> None:
    """Write a pure-Python wheel of each distribution as it is installed."""
    for name in names:
        found = distribution(name)
        title = found.metadata["Name"].replace("-", "_")
        wheel = folder / f"{title}-{found.version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for file in found.files or []:
                if ".." not in file.parts and "__pycache__" not in file.parts:
                    archive.write(str(file.locate()), str(file))
