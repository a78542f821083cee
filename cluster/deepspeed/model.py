"""A model under ZeRO-3: sharded from birth, filled, run by an engine, gathered one tensor at a
time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import deepspeed
import torch
import torch.distributed as dist
from deepspeed.utils import set_z3_leaf_modules

from cluster.deepspeed.config import fitted
from cluster.deepspeed.errors import ShardError

ModelT = TypeVar("ModelT", bound=torch.nn.Module)


def build(config: Mapping[str, Any], make: Callable[[], ModelT], *, seed: int) -> ModelT:
    """Construct a model whose parameters are sharded as they are made; the same at any world
    size."""
    torch.manual_seed(seed)
    with deepspeed.zero.Init(config_dict_or_path=dict(config)):
        return make()


def load_weights(model: torch.nn.Module, read: Callable[[str], torch.Tensor]) -> None:
    """Fill a sharded model with the tensors that ``read(name)`` gives on rank 0, one at a time."""
    for name, parameter in model.named_parameters():
        with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0):
            if dist.get_rank() == 0:
                tensor = read(name)
                if tensor.shape != parameter.shape:
                    raise ShardError(
                        f"{name} is {tuple(tensor.shape)} in the checkpoint, "
                        f"but {tuple(parameter.shape)} in the model"
                    )
                parameter.data.copy_(tensor)


def initialize(
    model: torch.nn.Module, config: Mapping[str, Any], *, leaves: Sequence[type] = ()
) -> Any:
    """Return the DeepSpeed engine. Parameters of a ``leaves`` module are gathered together.

    Leaves make the hooks' cost per module that of one per block; what a leaf holds must fit at
    once.
    """
    units = list(leaves)
    if units:
        set_z3_leaf_modules(model, units)
    largest = max((_elements(m) for m in model.modules() if isinstance(m, tuple(units))), default=0)
    fitting = fitted(config, elements=_elements(model), largest=largest)
    engine, *_ = deepspeed.initialize(model=model, config=fitting)
    return engine


def _elements(module: torch.nn.Module) -> int:
    return sum(getattr(p, "ds_numel", p.numel()) for p in module.parameters())


def set_learning_rate(engine: Any, learning_rate: float) -> None:
    """Use this learning rate from the next step on."""
    for group in engine.optimizer.param_groups:
        group["lr"] = learning_rate


def gathered(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield each parameter's name and whole tensor, which is valid until the next one is taken.

    All ranks must take all of them, or the others wait for ever.
    """
    for name, parameter in model.named_parameters():
        with deepspeed.zero.GatheredParameters([parameter]):
            yield name, parameter.detach()


def gather(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return all parameters by name on rank 0 (elsewhere nothing), gathering one at a time."""
    keep = dist.get_rank() == 0
    return {name: tensor.cpu().clone() for name, tensor in gathered(model) if keep}
