"""Checkpoints in Meta's layout; ``python -m model.meta_layout FROM TO`` converts to and from HF's.

Meta's layout is a directory of ``params.json`` (`model.meta_params`), a checkpoint of
``torch.distributed.checkpoint`` ({"model": state dict}; any number of files) and the tokenizer's
``tokenizer.model``. Besides other names, the rows of the query and key projections are in another
order: Meta rotates neighbours (2i, 2i + 1) of a head, HF and this model rotate i with i + D / 2.

Sources: github.com/facebookresearch/cwm at 7930e02, ``cwm/model/transformer.py`` (names),
``cwm/checkpoint/checkpointer.py`` (the key "model"), ``cwm/fastgen/kernels/rope.py`` (neighbours).

``.metadata`` of such a checkpoint is a pickle, which can run code when it is read: convert only
what you trust.

Shape suffixes: H heads, D head dimension, E hidden width.
"""

from __future__ import annotations

import argparse
import json
import pickle
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.metadata import MetadataIndex, TensorStorageMetadata

from model.checkpoint import (
    CheckpointError,
    load_config,
    open_tensors,
    save_pretrained,
    tensor_shapes,
)
from model.config import ConfigError, CWMConfig
from model.meta_params import from_params, to_params
from model.tensor_files import check_fit, read_json, sync

PARAMS, METADATA, TOKENIZER = "params.json", ".metadata", "tokenizer.model"
PREFIX = "model."
"""What precedes a tensor's name in the checkpoint."""

_PICKLE_ERRORS = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What reading a damaged pickle was seen to end in."""

_OUTER = {
    "model.embed_tokens.weight": "tok_embeddings.weight",
    "model.norm.weight": "norm.weight",
    "lm_head.weight": "output.weight",
}
_INNER = {
    "self_attn.q_proj": "attention.wq",
    "self_attn.k_proj": "attention.wk",
    "self_attn.v_proj": "attention.wv",
    "self_attn.o_proj": "attention.wo",
    "mlp.gate_proj": "feed_forward.w1",
    "mlp.down_proj": "feed_forward.w2",
    "mlp.up_proj": "feed_forward.w3",
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "ffn_norm",
}


def meta_name(name: str) -> str:
    """Return Meta's name of one of our tensors."""
    if name in _OUTER:
        return _OUTER[name]
    _, _, layer, module = name.removesuffix(".weight").split(".", 3)
    return f"layers.{layer}.{_INNER[module]}.weight"


def to_halves(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Reorder a projection's rows [H * D, E] from Meta's neighbours to our halves."""
    rows, width = weight.shape
    return weight.view(heads, rows // heads // 2, 2, width).transpose(1, 2).reshape(rows, width)


def to_neighbours(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Reorder a projection's rows [H * D, E] from our halves to Meta's neighbours."""
    rows, width = weight.shape
    return weight.view(heads, 2, rows // heads // 2, width).transpose(1, 2).reshape(rows, width)


def _reordered(
    name: str,
    weight: torch.Tensor,
    config: CWMConfig,
    order: Callable[[torch.Tensor, int], torch.Tensor],
) -> torch.Tensor:
    if name.endswith("q_proj.weight"):
        return order(weight, config.num_attention_heads)
    if name.endswith("k_proj.weight"):
        return order(weight, config.num_key_value_heads)
    return weight


class MetaTensors:
    """The tensors of a checkpoint in Meta's layout, under our names and in our order of rows."""

    def __init__(self, directory: Path) -> None:
        self.directory, file = directory, directory / PARAMS
        try:
            self.config = from_params(read_json(file))
        except ConfigError as error:
            raise CheckpointError(f"{file}: {error}") from error
        self._stored = _stored(directory)
        shapes = tensor_shapes(self.config)
        self._names = {name: meta_name(name) for name in shapes}
        check_fit(
            directory,
            {name: shape for name, (shape, _) in self._stored.items()},
            {self._names[name]: shape for name, shape in shapes.items()},
        )

    def __iter__(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield name and tensor; a layer's tensors are read together."""
        for _, group in groupby(self._names, lambda name: name.split(".")[:3]):
            names = list(group)
            state = {}
            for name in names:
                shape, dtype = self._stored[self._names[name]]
                state[PREFIX + self._names[name]] = torch.empty(shape, dtype=dtype)
            self._fill(state)
            for name in names:
                tensor = state.pop(PREFIX + self._names[name])
                yield name, _reordered(name, tensor, self.config, to_halves)

    def _fill(self, state: dict[str, torch.Tensor]) -> None:
        reader = dcp.FileSystemReader(self.directory)
        try:
            with _alone():
                dcp.load(state, storage_reader=reader, no_dist=True)
        except CheckpointException as error:
            cause = next(iter(error.failures.values()))[0]
            raise CheckpointError(
                f"{self.directory}: {next(iter(state))} and its neighbours cannot be read"
                f" ({str(cause).splitlines()[0]}); copy or download the files again"
            ) from error

    def dtype(self) -> torch.dtype:
        """Return the one dtype of all tensors; `CheckpointError` where there are several."""
        found = {str(dtype): dtype for _, dtype in self._stored.values()}
        if len(found) > 1:
            raise CheckpointError(
                f"{self.directory} mixes {' and '.join(sorted(found))}; say which --dtype to write"
            )
        return next(iter(found.values()))


Stored = tuple[tuple[int, ...], torch.dtype]
"""A tensor's shape and dtype."""


def _stored(directory: Path) -> dict[str, Stored]:
    """Return what the checkpoint's files hold by Meta's names, after a look at their sizes."""
    file = directory / METADATA
    if not file.is_file():
        raise CheckpointError(f"{file} is missing; a distributed checkpoint is not complete")
    try:
        stored, ends = _parsed(directory)
    except _PICKLE_ERRORS as error:
        raise CheckpointError(f"{file} is damaged ({error}); copy or download it again") from error
    for part, end in ends:
        if not part.is_file() or part.stat().st_size < end:
            raise CheckpointError(f"{part} is missing or cut short; copy or download it again")
    return stored


def _parsed(directory: Path) -> tuple[dict[str, Stored], list[tuple[Path, int]]]:
    """Return what is stored, and how far each file must reach."""
    metadata = dcp.FileSystemReader(directory).read_metadata()
    places = (metadata.storage_data or {}).values()
    stored = {
        name.removeprefix(PREFIX): (tuple(map(int, entry.size)), entry.properties.dtype)
        for name, entry in metadata.state_dict_metadata.items()
        if name.startswith(PREFIX) and isinstance(entry, TensorStorageMetadata)
    }
    if not all(isinstance(dtype, torch.dtype) for _, dtype in stored.values()):
        raise TypeError("a tensor's dtype is none")
    return stored, [(directory / p.relative_path, p.offset + p.length) for p in places]


@contextmanager
def _alone() -> Iterator[None]:
    """Keep torch from remarking that there is no process group: none is needed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
        yield


class _Streaming(DefaultSavePlanner):
    """Plans with tensors that have no memory, and fetches each when its turn comes."""

    def __init__(self, fetch: Callable[[str], torch.Tensor]) -> None:
        super().__init__()
        self._fetch = fetch

    def lookup_object(self, index: MetadataIndex) -> Any:
        """Return the tensor that is written next."""
        return self._fetch(index.fqn)


def to_meta(source: Path, target: Path, dtype: torch.dtype | None = None) -> CWMConfig:
    """Convert a checkpoint in HF's layout; ``target`` appears when it is whole.

    `CheckpointError` for a source that is not whole, or whose config Meta's layout cannot say.
    """
    config, files = load_config(source), open_tensors(source)
    try:
        params = to_params(config)
    except ConfigError as error:
        raise CheckpointError(f"{source}: {error}") from error
    dtype = dtype or files.dtype()
    shapes = tensor_shapes(config)
    ours = {PREFIX + meta_name(name): name for name in shapes}

    def fetch(name: str) -> torch.Tensor:
        return _reordered(ours[name], files.read(ours[name], dtype), config, to_neighbours)

    empty = {
        meta_name(name): torch.empty(shape, dtype=dtype, device="meta")
        for name, shape in shapes.items()
    }
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    # the writer keeps what goes into one file: a file per tensor keeps one tensor
    writer = dcp.FileSystemWriter(partial, single_file_per_rank=False)
    with _alone():
        dcp.save({"model": empty}, storage_writer=writer, planner=_Streaming(fetch), no_dist=True)
    (partial / PARAMS).write_text(json.dumps(params, indent=4) + "\n")
    if (source / TOKENIZER).is_file():
        shutil.copyfile(source / TOKENIZER, partial / TOKENIZER)
    sync(partial / PARAMS)  # the writer has waited for the rest
    partial.replace(target)
    return config


def from_meta(source: Path, target: Path, dtype: torch.dtype | None = None) -> CWMConfig:
    """Convert a checkpoint in Meta's layout; `CheckpointError` if it is not whole."""
    tensors = MetaTensors(source)
    dtype = dtype or tensors.dtype()
    pairs = ((name, tensor.to(dtype)) for name, tensor in tensors)
    save_pretrained((tensors.config, pairs), target, source)
    return tensors.config


def convert(source: Path, target: Path, dtype: torch.dtype | None = None) -> str:
    """Convert from the layout that ``source`` has to the other; return what was done.

    Weights stay as they are unless ``dtype`` is given. ``target`` must not exist or be empty.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CheckpointError(f"{target} exists already; choose another directory")
    found = [name for name in (PARAMS, "config.json") if (source / name).is_file()]
    if len(found) != 1:
        parts = " and a .metadata" if (source / METADATA).is_file() else ""
        held = f"both {' and '.join(found)}" if found else f"neither{parts}"
        raise CheckpointError(
            f"{source} holds {held}; Meta's layout has {PARAMS}, HF's config.json"
        )
    if found == [PARAMS]:
        config, done = from_meta(source, target, dtype), "Meta's layout to HF's"
    else:
        config, done = to_meta(source, target, dtype), "HF's layout to Meta's"
    layers, width = config.num_hidden_layers, config.hidden_size
    return f"{source} → {target}: {done}, {layers} layers of width {width}"


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m model.meta_layout",
        description="Convert a CWM checkpoint between Meta's layout (params.json, distributed"
        " checkpoint) and HF's (config.json, safetensors); the direction follows from FROM. Of"
        " tokenizers, Meta's layout has tokenizer.model alone: keep a tokenizer.json yourself.",
    )
    parser.add_argument("source", metavar="FROM", type=Path, help="directory to read")
    parser.add_argument("target", metavar="TO", type=Path, help="directory to make")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], help="convert to it")
    given = parser.parse_args(arguments)
    dtype = getattr(torch, given.dtype) if given.dtype else None
    try:
        print(convert(given.source, given.target, dtype))
    except CheckpointError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
