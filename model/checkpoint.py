"""Models on disk in HF's layout: ``config.json``, ``model.safetensors`` and the tokenizer's files.

``transformers.AutoModelForCausalLM`` and vLLM load such a directory as it is; `load_pretrained`
also reads directories that they wrote, in one file or in shards.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from model.attention import Attention
from model.config import CWMConfig
from model.transformer import CWM

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)


class CheckpointError(ValueError):
    """A directory is not a CWM checkpoint; says which file or tensor is missing or does not fit."""


def save_pretrained(
    model: CWM | tuple[CWMConfig, Mapping[str, torch.Tensor]],
    directory: Path | str,
    tokenizer_dir: Path | str | None = None,
) -> None:
    """Write a model, or (configuration, state dict), and copies of the tokenizer's files."""
    config, state = (model.config, model.state_dict()) if isinstance(model, CWM) else model
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(state.items())}
    record = config.to_hf()
    record["dtype"] = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    (directory / "config.json").write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    if tokenizer_dir is not None:
        for name in TOKENIZER_FILES:
            if (source := Path(tokenizer_dir) / name).exists():
                shutil.copyfile(source, directory / name)


def load_config(directory: Path | str) -> CWMConfig:
    """Read the configuration of a checkpoint."""
    file = Path(directory) / "config.json"
    if not file.is_file():
        raise CheckpointError(f"{directory} has no config.json; is it a checkpoint?")
    return CWMConfig.from_hf(json.loads(file.read_text()))


def load_state_dict(directory: Path | str) -> dict[str, torch.Tensor]:
    """Read the tensors of a checkpoint, from one file or from HF's shards."""
    directory = Path(directory)
    index = directory / "model.safetensors.index.json"
    names = ["model.safetensors"]
    if index.is_file():
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    state: dict[str, torch.Tensor] = {}
    for name in names:
        if not (directory / name).is_file():
            raise CheckpointError(f"{directory} has no {name}")
        state |= load_file(directory / name)
    return state


def load_pretrained(directory: Path | str, attention: Attention | None = None) -> CWM:
    """Read a checkpoint; `CheckpointError` if a tensor is missing, unknown or misshapen."""
    config, state = load_config(directory), load_state_dict(directory)
    with torch.device("meta"):  # nothing is initialised only to be overwritten
        model = CWM(config, attention)
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise CheckpointError(
            f"{directory}: the tensors do not fit config.json: {error}"
        ) from error
    return model.requires_grad_(True)
