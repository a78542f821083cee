"""Writing files so that a reader never sees half of one, and taking their digests."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(file: Path, value: Any) -> None:
    """Write ``value`` as JSON: temporary file, fsync, replace, fsync of the folder."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    with temporary.open("w") as stream:
        stream.write(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
    sync_folder(file.parent)


def replace_link(link: Path, target: str) -> None:
    """Point the symbolic link ``link`` at ``target``, atomically."""
    temporary = link.with_name(f".{link.name}.{secrets.token_hex(4)}")
    temporary.symlink_to(target)
    temporary.replace(link)
    sync_folder(link.parent)


def file_digest(file: Path, *, sync: bool = False) -> str:
    """Return the sha256 of a file's bytes; ``sync`` also forces them to disk."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
        if sync:
            os.fsync(stream.fileno())
    return digest.hexdigest()


def files_below(folder: Path) -> list[str]:
    """Return the relative paths of all files below ``folder``, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def folder_bytes(folder: Path) -> int:
    """Return the size in bytes of all files below ``folder``; 0 when it is not there."""
    return sum((folder / name).lstat().st_size for name in files_below(folder))
