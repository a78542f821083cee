"""Versioned weights from the trainer to the rollout workers, through a directory.

Each version is an HF-layout directory ``v00000012`` (model.safetensors, config.json), written aside
and renamed, so that a reader sees all of it or nothing; the file ``LATEST`` names the newest. Any
file system that trainer and workers share will do: /dev/shm on one host, the store on a cluster.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


class VersionGoneError(LookupError):
    """The version asked for was never published or is already removed; pull the latest instead."""


class WeightTransport:
    """Publishes and pulls versions below ``folder``; the newest ``keep`` versions stay."""

    def __init__(self, folder: Path, keep: int = 4) -> None:
        self.folder, self.keep = Path(folder), keep

    def _path(self, version: int) -> Path:
        return self.folder / f"v{version:08d}"

    def publish(
        self,
        version: int,
        state_dict: Mapping[str, torch.Tensor],
        config: Mapping[str, Any] | None = None,
    ) -> Path:
        """Make a version visible; one that is there already (before a resume) is replaced."""
        from safetensors.torch import save_file  # not at module level: it breaks actor pickling

        self.folder.mkdir(parents=True, exist_ok=True)
        target, part = self._path(version), self.folder / f".v{version:08d}.{os.getpid()}.partial"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        tensors = {name: t.detach().cpu().contiguous() for name, t in state_dict.items()}
        save_file(tensors, part / "model.safetensors", metadata={"format": "pt"})
        if config is not None:
            (part / "config.json").write_text(json.dumps(config))
        if target.exists():
            target.rename(part.with_suffix(".old"))
        part.rename(target)
        self._mark(version)
        self._prune(version)
        return target

    def _mark(self, version: int) -> None:
        marker = self.folder / f".LATEST.{os.getpid()}"
        marker.write_text(str(version))
        marker.replace(self.folder / "LATEST")

    def _prune(self, newest: int) -> None:
        for path in self.folder.glob("v*"):
            # Versions from beyond a resume point belong to a past that did not happen.
            if not newest - self.keep < int(path.name[1:]) <= newest:
                shutil.rmtree(path, ignore_errors=True)
        for path in self.folder.glob(".v*.old"):
            shutil.rmtree(path, ignore_errors=True)

    def latest(self) -> int | None:
        """The newest version, or None before the first."""
        try:
            return int((self.folder / "LATEST").read_text())
        except FileNotFoundError:
            return None

    def pull(self, version: int) -> dict[str, torch.Tensor]:
        """Read a version's tensors on the CPU, or raise `VersionGoneError`."""
        from safetensors.torch import load_file

        try:
            return load_file(self._path(version) / "model.safetensors")
        except FileNotFoundError as error:
            raise VersionGoneError(f"no version {version} in {self.folder}") from error

    def clear(self) -> None:
        """Remove every version."""
        shutil.rmtree(self.folder, ignore_errors=True)
