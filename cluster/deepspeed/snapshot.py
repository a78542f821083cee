"""A copy of one rank's part of a checkpoint, to be written while training goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from deepspeed.accelerator import get_accelerator
from deepspeed.runtime.checkpoint_engine import TorchCheckpointEngine
from torch.serialization import get_crc32_options, set_crc32_options

RANDOM = "random"
"""Name of the random generators' states in a checkpoint."""


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """What a file of a checkpoint is to hold; nothing else refers to its tensors."""

    content: Any
    size: int
    """Bytes of the tensors: the file is larger by some kilobytes."""

    def write(self, file: Path) -> None:
        """Write the file. Raises OSError or, from torch, RuntimeError when there is no room."""
        checked = get_crc32_options()
        set_crc32_options(False)  # nobody compares them, and they take longer than all the rest
        try:
            torch.save(self.content, str(file))
        finally:
            set_crc32_options(checked)


class _Copying(TorchCheckpointEngine):
    """In DeepSpeed's place: copies what it is told to save. Loads as DeepSpeed's own does."""

    def __init__(self) -> None:
        super().__init__()
        self.copies: dict[str, Any] = {}

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Nothing is written here."""

    def create(self, info: Any) -> None:
        """Nothing is written here."""

    def save(self, state_dict: Any, path: str) -> None:
        """Copy ``state_dict``."""
        self.copies[Path(path).as_posix()] = _copied(state_dict)


def snapshot(engine: Any, tag: str, state: Mapping[str, Any]) -> dict[str, CopiedFile]:
    """Return copies of this rank's files of a checkpoint, by path (``tag``/…); called by all ranks.

    Holds the partitions of the weights in float32, AdamW's moments, the counters, ``state`` (names
    that DeepSpeed uses itself are refused with KeyError) and torch's random generators. A GPU's
    tensors are copied to pinned memory.
    """
    engine.checkpoint_engine = copying = _Copying()
    engine._copy_recovery_script = _nothing  # writes two files of DeepSpeed's into the checkpoint
    random = {"cpu": torch.get_rng_state(), "device": get_accelerator().get_rng_state()}
    engine.save_checkpoint(".", tag=tag, client_state={**state, RANDOM: random}, save_latest=False)
    if get_accelerator().device_name() != "cpu":
        get_accelerator().synchronize()  # the copies were only started
    return {path: CopiedFile(copy, _bytes(copy)) for path, copy in copying.copies.items()}


def restore(engine: Any, folder: Path) -> dict[str, Any]:
    """Fill the engine from the shards in ``folder``, and return the ``state`` they were saved
    with.

    Called by all ranks. Every rank gets back its own random generators, or rank 0's where another
    number of ranks saved them.
    """
    _, client = engine.load_checkpoint(str(folder.parent), tag=folder.name)
    random = client[RANDOM]
    torch.set_rng_state(random["cpu"])
    get_accelerator().set_rng_state(random["device"])
    state: dict[str, Any] = client  # with entries of DeepSpeed's own
    return state


def _nothing(folder: str) -> None:
    pass


def _copied(value: Any) -> Any:
    """Copy tensors to the host's memory, and what holds them; all else is shared."""
    if isinstance(value, torch.Tensor):
        host = torch.empty(value.shape, dtype=value.dtype, pin_memory=value.device.type != "cpu")
        return host.copy_(value.detach(), non_blocking=True)
    if isinstance(value, dict):
        return type(value)((key, _copied(entry)) for key, entry in value.items())
    if type(value) in (list, tuple):
        return type(value)(_copied(entry) for entry in value)
    return value


def _bytes(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.nbytes
    if isinstance(value, dict):
        return sum(_bytes(entry) for entry in value.values())
    return sum(_bytes(entry) for entry in value) if type(value) in (list, tuple) else 0
