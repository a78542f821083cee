"""A store that may not be looked into is refused by its name."""

from pathlib import Path

import pytest

from cluster.dag import store as module
from cluster.dag.store import Store, StoreNotWritableError


def test_a_store_below_a_closed_directory(tmp_path, monkeypatch):
    def denied(path):  # modes would not stop root
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", denied)
    with pytest.raises(StoreNotWritableError, match="Permission denied"):
        Store(tmp_path / "store")


def test_a_closed_store(tmp_path, monkeypatch):
    monkeypatch.setattr(module.os, "access", lambda *_: False)
    with pytest.raises(StoreNotWritableError, match="may not be read"):
        Store(tmp_path)
