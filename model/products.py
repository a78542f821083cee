"""Matrix products with a model's weights, for inference: the quickest way that the device has.

For float32 on a CPU the weights of a small model are copied into oneDNN's own layout (see
`model.linear` for why oneDNN), and those that read the same input are joined: a step with few lanes
reads all weights for little work, and reads them so in two thirds of the time or less. Elsewhere,
and for a large model, which a second copy must not double, the weights are used as they lie.

Shape suffixes: T tokens, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import nn

from model.linear import linear, onednn_product, suits_onednn

PACKED_BYTES = 1 << 30
"""Of all weights of a model together: above it no copies are made."""


Content = tuple[int, int, bytes]


@lru_cache(maxsize=64)
def _factors(inputs: int) -> torch.Tensor:
    """Random odd numbers, int32 [I]."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(-(1 << 31), 1 << 31, (inputs,), generator=generator).int() | 1


def _content(weight_OI: torch.Tensor) -> Content:
    """Return what differs after a change: the place, the version (which a fused optimiser does not
    raise), and of each row the sum modulo 2**32 of its bits times `_factors`.

    A row of which one entry has changed never keeps its sum, another one by chance once in 2**32.
    """
    version = 0 if weight_OI.is_inference() else weight_OI._version
    sums_O = weight_OI.detach().view(torch.int32) @ _factors(weight_OI.shape[1])
    return weight_OI.data_ptr(), version, sums_O.numpy().tobytes()


class Product:
    """The product of one input with the ``weight`` [O, I] of each of ``modules``.

    ``sync`` must be called before the first product and after the weights may have changed.
    """

    def __init__(self, *modules: nn.Module) -> None:
        self.modules = modules
        self.weights: list[torch.Tensor] = []
        self._packed: torch.Tensor | None = None
        self._content: list[Content] = []  # of what was packed

    def sync(self, *, pack: bool) -> None:
        """Take up the modules' weights; with ``pack`` copy them where they have changed, which is
        found out by reading them once: about as long as one step takes."""
        self.weights = [module.get_parameter("weight") for module in self.modules]
        if not (pack and all(map(suits_onednn, self.weights))):
            self._packed, self._content = None, []
            return
        content = [_content(weight) for weight in self.weights]
        if content != self._content:
            joined = torch.cat(self.weights) if len(self.weights) > 1 else self.weights[0]
            self._packed = torch.ops.mkldnn._reorder_linear_weight(joined, 8)
            self._content = content

    def joined(self, x_TI: torch.Tensor) -> torch.Tensor:
        """Return the products side by side, [T, sum of O]."""
        if self._packed is not None:
            return onednn_product(x_TI, self._packed)
        products = [linear(x_TI, weight) for weight in self.weights]
        return products[0] if len(products) == 1 else torch.cat(products, 1)

    def apart(self, x_TI: torch.Tensor) -> Sequence[torch.Tensor]:
        """Return the products one by one, each [T, O]."""
        if self._packed is not None:
            return onednn_product(x_TI, self._packed).split([len(w) for w in self.weights], 1)
        return [linear(x_TI, weight) for weight in self.weights]
