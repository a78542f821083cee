"""What a decoder may be told about the next tokens of a sample: which to write, or which to avoid.

A guide is asked before a token is chosen, with the tokens that the sample has written so far. It is
a pure function of them: several samples of one prompt share it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Forced:
    """Write these tokens next; the guide is asked again after the last of them."""

    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Allowed:
    """Choose the next token among those where ``mask_V`` (bool [V]) is True."""

    mask_V: torch.Tensor


Guide = Callable[[Sequence[int]], Forced | Allowed | None]
"""Returns None where the model is free."""
