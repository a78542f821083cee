"""A folder of made-up installed distributions."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

Install = Callable[..., Path]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    return folder


@pytest.fixture
def install(site: Path) -> Install:
    """Return install(name, files, metadata="", version="1.0"), which also writes RECORD."""

    def put(name: str, files: dict[str, bytes], metadata: str = "", version: str = "1.0") -> Path:
        info = site / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{metadata}"
        )
        for path, data in files.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_bytes(data)
        with (info / "RECORD").open("w", newline="") as record:
            csv.writer(record).writerows([path, "", ""] for path in files)
        return info

    return put
