"""Safetensors files, read and written one tensor at a time.

The format: eight bytes with the length of a JSON header, the header (each tensor's dtype, shape and
place), the bytes. A file is one as ``safetensors.torch.save_file`` writes it, byte for byte, but
its content need not be in memory at once.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError, safe_open

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

Shapes = Mapping[str, Collection[int]]
"""Tensors' shapes by name."""

_CODES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
}
_DTYPES = {code: dtype for dtype, code in _CODES.items()}


class CheckpointError(ValueError):
    """A directory is not a CWM checkpoint; says which file or tensor is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a tensor lies and what it is."""

    file: Path
    shape: tuple[int, ...]
    dtype: torch.dtype


class TensorFiles:
    """The tensors of a directory in HF's layout: one file, or shards and their index.

    `CheckpointError` if a file is missing, damaged, or not what the index says.
    """

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory)
        self.stored: dict[str, Stored] = {}
        index = _index_of(self.directory)
        for file in sorted(set(index.values())) if index else [WEIGHTS]:
            self.stored |= _contents(self.directory / file)
        if not index:
            return
        for name, file in index.items():
            if name not in self.stored or self.stored[name].file.name != file:
                raise CheckpointError(
                    f"{self.directory / file} has no tensor {name}, though {INDEX} says so;"
                    f" the index and the shards are of different checkpoints"
                )
        if surplus := sorted(set(self.stored) - set(index)):
            raise CheckpointError(
                f"{self.stored[surplus[0]].file} has {surplus[0]}, which {INDEX} does not name;"
                f" the index and the shards are of different checkpoints"
            )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return every tensor's shape, without reading it."""
        return {name: stored.shape for name, stored in self.stored.items()}

    def dtype(self) -> torch.dtype:
        """Return the one dtype of all tensors; `CheckpointError` where there are several."""
        count = Counter(stored.dtype for stored in self.stored.values())
        usual = count.most_common(1)[0][0]
        for name, stored in self.stored.items():
            if stored.dtype != usual:
                raise CheckpointError(
                    f"{stored.file}: {name} is {stored.dtype}, but most tensors are {usual};"
                    " say which dtype to load them as"
                )
        return usual

    def read(
        self,
        name: str,
        dtype: torch.dtype | None = None,
        device: torch.device | str = "cpu",
    ) -> torch.Tensor:
        """Return a tensor in memory of its own, as stored or converted."""
        if name not in self.stored:
            raise CheckpointError(f"{self.directory} has no tensor {name}")
        # Opened anew each time: closing gives back the file's pages, else they pile up to a second
        # copy. Memory of one's own is aligned, which the file's bytes are not.
        with _opened(self.stored[name].file) as source:
            tensor: torch.Tensor = source.get_tensor(name).to(device, dtype, copy=True)
        return tensor


@contextmanager
def _opened(file: Path) -> Any:
    if not file.is_file():
        raise CheckpointError(f"{file} is missing; copy or download it again")
    try:
        with safe_open(file, framework="pt") as source:
            yield source
    except SafetensorError as error:
        raise CheckpointError(
            f"{file} is cut short or no safetensors file ({error}); copy or download it again"
        ) from error


def _contents(file: Path) -> dict[str, Stored]:
    found = {}
    with _opened(file) as source:
        for name in source.keys():  # noqa: SIM118 - not a mapping
            tensor = source.get_slice(name)
            if (code := tensor.get_dtype()) not in _DTYPES:
                raise CheckpointError(
                    f"{file}: {name} is {code}; a CWM's weights are one of {', '.join(_DTYPES)}"
                )
            found[name] = Stored(file, tuple(tensor.get_shape()), _DTYPES[code])
    return found


def _index_of(directory: Path) -> dict[str, str] | None:
    """Return the file of each tensor by the index; None without one."""
    file = directory / INDEX
    if not file.is_file():
        return None
    if (directory / WEIGHTS).exists():
        raise CheckpointError(
            f"{directory} has both {WEIGHTS} and {INDEX}; remove the one that is left over"
        )
    index = read_json(file).get("weight_map")
    if not isinstance(index, dict) or not index:
        raise CheckpointError(f"{file} has no weight_map; it must name each tensor's file")
    if outside := [name for name in index.values() if Path(str(name)).name != name]:
        raise CheckpointError(f"{file} names {outside[0]!r}, which is no file beside it")
    return index


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object; `CheckpointError` if the file is none."""
    if not file.is_file():
        raise CheckpointError(f"{file} is missing; is this the checkpoint's directory?")
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:  # a JSON error, or bytes that are no UTF-8
        raise CheckpointError(f"{file} is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise CheckpointError(f"{file} holds a {type(record).__name__}; expected an object")
    return record


def check_fit(where: Path, found: Shapes, expected: Shapes) -> None:
    """Raise `CheckpointError` unless ``where`` has exactly the tensors that a model needs."""
    missing = sorted(set(expected) - set(found))
    surplus = sorted(set(found) - set(expected))
    misshaped = [
        f"{name} {tuple(found[name])}, not {tuple(expected[name])}"
        for name in sorted(set(found) & set(expected))
        if tuple(found[name]) != tuple(expected[name])
    ]
    parts = [
        f"{len(names)} {kind}: {', '.join(names[:5])}{', …' if len(names) > 5 else ''}"
        for kind, names in (("missing", missing), ("unknown", surplus), ("misshaped", misshaped))
        if names
    ]
    if parts:
        raise CheckpointError(f"{where}: the tensors do not fit the config; {'; '.join(parts)}")


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of files, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class TensorFileWriter:
    """One new safetensors file of known content, filled in any order."""

    def __init__(self, path: Path, shapes: Shapes, dtype: torch.dtype) -> None:
        if dtype not in _CODES:
            raise CheckpointError(f"weights are {dtype}; can be saved: {', '.join(_DTYPES)}")
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        start, self._starts = 0, {}
        for name in sorted(shapes):
            end = start + math.prod(shapes[name]) * dtype.itemsize
            place = {"shape": list(shapes[name]), "data_offsets": [start, end]}
            header[name] = {"dtype": _CODES[dtype], **place}
            self._starts[name] = start
            start = end
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)
        self._file: IO[bytes] = path.open("wb")
        self._file.write(len(text).to_bytes(8, "little") + text)
        self._data = self._file.tell()

    def write(self, name: str, tensor: torch.Tensor) -> None:
        """Put a tensor of the announced shape and dtype, from any device, in its place."""
        data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        self._file.seek(self._data + self._starts[name])
        self._file.write(data.data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
