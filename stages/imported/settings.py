"""Settings of what is imported: how much it was trained; and where it lies, which is no setting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedCheckpointSettings:
    """How an external checkpoint counts in the stage that goes on from it."""

    steps: int = 0
    """Optimizer steps that it was trained for: where the schedule goes on."""
    tokens: int = 0
    """Tokens that it was trained on."""
    context_length: int = 8_192
    """Context that it was trained with, from which RoPE is rescaled."""
    precision: str = "float32"
    """Number format that it was trained in."""
    trained_by: Literal["training.json", "settings"] = "settings"
    """Who says so: the folder's own training.json, or the settings of the step it stands in for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedTokenizerSettings:
    """Nothing to set: a tokenizer is its files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportPlacement:
    """Where the folder is; what is in it is the identity."""

    folder: str = ""
    """Absolute path, seen by the node that the step runs on."""
