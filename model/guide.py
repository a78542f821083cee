"""What a decoder may be told about the next tokens of a sample: which to write, or which to avoid.

A guide is asked before a token is chosen, with the tokens that the sample has written so far. It is
a pure function of them: several samples of one prompt share it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch


class GuideError(ValueError):
    """A guide asks for the impossible; names the prompt and how far its sample is."""


@dataclass(frozen=True, slots=True)
class Forced:
    """Write these tokens next; the guide is asked again after the last of them."""

    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Allowed:
    """Choose the next token among those where ``mask_V`` (bool [V]) is True."""

    mask_V: torch.Tensor  # noqa: N815 - the shape suffix


Guide = Callable[[Sequence[int]], Forced | Allowed | None]
"""Returns None where the model is free."""


@dataclass(slots=True)
class Guidance:
    """A guide at work on one sample: hands out what is forced token by token, and checks it."""

    guide: Guide
    vocabulary: int
    sample: str  # its name in messages
    forced: list[int] = field(default_factory=list)  # told, but not yet handed out

    def next(self, written: Sequence[int]) -> int | torch.Tensor | None:
        """Return the token to write after ``written``, or the mask of those allowed, or None.

        Raises `GuideError` for ids outside the vocabulary and for a mask that has another shape or
        type or allows nothing.
        """
        if not self.forced:
            told = self.guide(written)
            if told is None:
                return None
            if isinstance(told, Allowed):
                return self._checked(told.mask_V, len(written))
            if not told.tokens or not all(0 <= token < self.vocabulary for token in told.tokens):
                raise GuideError(
                    f"{self._where(len(written))} forces {list(told.tokens)}; expected at least one"
                    f" token, ids from 0 to {self.vocabulary - 1}"
                )
            self.forced = list(told.tokens)
        return self.forced.pop(0)

    def _checked(self, mask_V: torch.Tensor, place: int) -> torch.Tensor:
        if mask_V.dtype != torch.bool or mask_V.shape != (self.vocabulary,):
            raise GuideError(
                f"{self._where(place)} gives a mask of {mask_V.dtype} {list(mask_V.shape)};"
                f" expected bool [{self.vocabulary}]"
            )
        if not mask_V.any():
            raise GuideError(f"{self._where(place)} allows no token; None leaves the model free")
        return mask_V

    def _where(self, place: int) -> str:
        return f"the guide of {self.sample}, asked after {place} tokens,"
