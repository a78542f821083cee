"""What a rendering makes of a row: documents of tokens, or a reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.tokens import Tokenizer
from stages.tokenize.settings import TokenizeSettings

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Document:
    """Token ids, and for each the loss weight (0…255) of predicting it."""

    ids: list[int]
    loss: list[int]


@dataclass(frozen=True, slots=True)
class Rendered:
    """The documents of one row; ``dropped`` is a stable word when something of it was left out."""

    documents: tuple[Document, ...] = ()
    dropped: str = ""


Renderer = Callable[[Sequence[Row], Tokenizer, TokenizeSettings], Iterator[Rendered]]
"""Renders a batch of rows, one `Rendered` for each."""


def weigh(weight: float) -> int:
    """Return a loss weight of 0…1 as it is stored, in 255ths."""
    return round(255 * weight)
