"""Models on disk in HF's layout: ``config.json``, weights and the tokenizer's files.

Weights are ``model.safetensors``, or several ``model-00001-of-0000N.safetensors`` and an index of
them. ``transformers.AutoModelForCausalLM`` and vLLM load such a directory as it is, and what they
wrote is loaded here. Nothing ever holds a model twice: loading goes tensor by tensor into a model
without memory, saving takes the tensors one at a time from wherever they come.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

import torch
from torch import nn

from model.attention import Attention
from model.config import ConfigError, CWMConfig
from model.tensor_files import (
    INDEX,
    WEIGHTS,
    CheckpointError,
    Shapes,
    TensorFiles,
    TensorFileWriter,
    check_fit,
    read_json,
    sync,
)
from model.transformer import CWM

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "tokenizer.model",
)
MAX_SHARD_BYTES = 5_000_000_000
"""The size of a file, as transformers chooses it."""

Tensors = Mapping[str, torch.Tensor] | Iterable[tuple[str, torch.Tensor]]


def load_config(directory: Path | str) -> CWMConfig:
    """Read the configuration of a checkpoint; `CheckpointError` names the field it stumbles on."""
    file = Path(directory) / "config.json"
    try:
        return CWMConfig.from_hf(read_json(file))
    except ConfigError as error:
        raise CheckpointError(f"{file}: {error}") from error


def tensor_shapes(config: CWMConfig) -> dict[str, torch.Size]:
    """Return the shape of each tensor of a model, in the model's order."""
    with torch.device("meta"):
        model = CWM(config)
    return {name: parameter.shape for name, parameter in model.named_parameters()}


def open_tensors(directory: Path | str) -> TensorFiles:
    """Open a checkpoint's tensors for reading one by one, once they are seen to fit its config."""
    files, shapes = TensorFiles(directory), tensor_shapes(load_config(directory))
    check_fit(files.directory, files.shapes(), shapes)
    return files


def load_state_dict(directory: Path | str) -> dict[str, torch.Tensor]:
    """Read all tensors of a checkpoint, as they are stored."""
    files = open_tensors(directory)
    return {name: files.read(name) for name in files.stored}


def load_pretrained(
    directory: Path | str,
    attention: Attention | None = None,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
) -> CWM:
    """Read a checkpoint, in the dtype that it is stored in or converted, onto a device.

    Memory: the model and one tensor more. `CheckpointError` if a file is missing, damaged or not a
    CWM's, if a tensor is missing, unknown or misshapen, or if dtypes are mixed and none is asked
    for.
    """
    config = load_config(directory)
    with torch.device("meta"):  # nothing is initialised only to be overwritten
        model = CWM(config, attention)
    files = TensorFiles(directory)
    check_fit(
        files.directory, files.shapes(), {name: p.shape for name, p in model.named_parameters()}
    )
    dtype = dtype or files.dtype()
    for name, _ in list(model.named_parameters()):
        module, _, leaf = name.rpartition(".")
        tensor = files.read(name, dtype, device)
        setattr(model.get_submodule(module), leaf, nn.Parameter(tensor))
    return model


def save_pretrained(
    model: CWM | tuple[CWMConfig, Tensors],
    directory: Path | str,
    tokenizer_dir: Path | str | None = None,
    *,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> None:
    """Write a model, or a configuration and its tensors, and copies of the tokenizer's files.

    The tensors may come from a generator, in any order: each is written at once. All must have one
    dtype. A directory that holds a checkpoint holds the new one afterwards; if writing fails, it
    holds the old one, and if the machine dies while the files are exchanged, one without
    ``config.json``, which nothing loads.
    """
    config, given = (model.config, model.named_parameters()) if isinstance(model, CWM) else model
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for left in directory.glob(".model*.partial"):  # by a process that died
        left.unlink()
    partial: dict[str, Path] = {}
    try:
        pairs = given.items() if isinstance(given, Mapping) else given
        dtype, index = _write_weights(directory, config, pairs, max_shard_bytes, partial)
        if index:
            _write_json(_partial(directory, INDEX, partial), index)
        for name in TOKENIZER_FILES if tokenizer_dir is not None else ():
            if (source := Path(tokenizer_dir or "") / name).exists():
                shutil.copyfile(source, _partial(directory, name, partial))
        record = {**config.to_hf(), "dtype": str(dtype).removeprefix("torch.")}
        _write_json(_partial(directory, "config.json", partial), record)
        _exchange(directory, partial)
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)


def plan_shards(
    shapes: Shapes, dtype: torch.dtype, max_shard_bytes: int = MAX_SHARD_BYTES
) -> dict[str, list[str]]:
    """Divide tensors into files of ``max_shard_bytes`` at most; a larger tensor has its own.

    The rule is that of ``huggingface_hub.split_torch_state_dict_into_shards``, on names in the
    order in which transformers 5.23 saves them: so files and index come out byte for byte as
    transformers writes them.
    """
    shards: list[list[str]] = []
    current: list[str] = []
    filled = 0
    for name in sorted(shapes, key=_natural):
        size = math.prod(shapes[name]) * dtype.itemsize
        if size > max_shard_bytes:
            shards.append([name])
            continue
        if filled + size > max_shard_bytes:
            shards.append(current)
            current, filled = [], 0
        current.append(name)
        filled += size
    shards += [current] if current else []
    if len(shards) == 1:
        return {WEIGHTS: shards[0]}
    total = len(shards)
    return {f"model-{i:05d}-of-{total:05d}.safetensors": s for i, s in enumerate(shards, 1)}


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Return a sorting key that puts layer 2 before layer 10."""
    parts = name.split(".")
    return [(p.isdigit(), int(p) if p.isdigit() else 0, p) for p in parts]


def _write_weights(
    directory: Path,
    config: CWMConfig,
    pairs: Iterable[tuple[str, torch.Tensor]],
    max_shard_bytes: int,
    partial: dict[str, Path],
) -> tuple[torch.dtype, dict[str, object] | None]:
    """Write the tensors under ``partial`` names; return their dtype and the index, if needed."""
    shapes, written, iterator = tensor_shapes(config), {}, iter(pairs)
    first = next(iterator, None)
    if first is None:
        raise CheckpointError(f"nothing to save in {directory}: there are no tensors")
    dtype = first[1].dtype
    shards = plan_shards(shapes, dtype, max_shard_bytes)
    files = {name: file for file, names in shards.items() for name in names}
    writers = {
        file: TensorFileWriter(
            _partial(directory, file, partial), {name: shapes[name] for name in names}, dtype
        )
        for file, names in shards.items()
    }
    try:
        for name, tensor in chain([first], iterator):
            if tensor.dtype != dtype:
                raise CheckpointError(
                    f"{name} is {tensor.dtype}, but {first[0]} is {dtype};"
                    " convert them to one dtype before saving"
                )
            written[name] = tensor.shape
            if shapes.get(name) == tensor.shape:  # what else came is reported below
                writers[files[name]].write(name, tensor)
    finally:
        for writer in writers.values():
            writer.close()
    check_fit(directory, written, shapes)
    if len(shards) == 1:
        return dtype, None
    count = sum(shape.numel() for shape in shapes.values())
    metadata = {"total_parameters": count, "total_size": count * dtype.itemsize}
    return dtype, {"metadata": metadata, "weight_map": files}


def _partial(directory: Path, name: str, partial: dict[str, Path]) -> Path:
    """Return under which name a file is written until all are, and note it in ``partial``."""
    partial[name] = directory / f".{name}.partial"
    return partial[name]


def _write_json(path: Path, record: Mapping[str, object]) -> None:
    path.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _exchange(directory: Path, partial: Mapping[str, Path]) -> None:
    """Put the written files in place of an older checkpoint's, ``config.json`` last."""
    for path in partial.values():
        sync(path)
    for name in ("config.json", INDEX):  # from here on, what is there is no checkpoint
        (directory / name).unlink(missing_ok=True)
    sync(directory)
    for old in directory.glob("model*.safetensors"):
        shard = re.fullmatch(r"model(-\d{5}-of-\d{5})?\.safetensors", old.name)
        if shard and old.name not in partial:
            old.unlink()
    if not partial.keys().isdisjoint(TOKENIZER_FILES):  # else the old tokenizer stays, whole
        for name in set(TOKENIZER_FILES) - partial.keys():
            (directory / name).unlink(missing_ok=True)
    for name, path in partial.items():
        if name == "config.json":
            sync(directory)
        path.replace(directory / name)
    sync(directory)
