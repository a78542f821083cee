"""DeepSpeed ZeRO-3 on CPUs and GPUs: the configuration, construction, checkpoints and export.

Import this module only in the process that trains: importing DeepSpeed takes seconds, and it
patches torch. Nothing is compiled: the optimizer is torch's own AdamW, and DeepSpeed's
shared-memory op, which would need a compiler at run time, is off.

The life of a model here::

    start_process()                        # process group; adopts the one Ray Train made
    model = build(config, lambda: CWM(…))  # shards from birth: a 32 B model never exists whole
    load_weights(model, tensors)           # one parameter at a time
    engine = initialize(model, config, leaves=[Block])
    …train…
    for name, tensor in gathered(model):   # whole, one parameter at a time
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from cluster.devices import accelerator, device, dist_backend

os.environ.setdefault("DS_ACCELERATOR", accelerator())
# else DeepSpeed starts `numactl` in every step to count NUMA nodes
os.environ.setdefault("LOCAL_SIZE", "1")
# torch deprecates collectives that DeepSpeed calls several times a step
warnings.filterwarnings("ignore", category=FutureWarning)
logging.getLogger("DeepSpeed").setLevel(logging.WARNING)

import deepspeed  # noqa: E402
import deepspeed.ops  # noqa: E402
from deepspeed.utils import set_z3_leaf_modules  # noqa: E402

deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False

ModelT = TypeVar("ModelT", bound=torch.nn.Module)


class ShardError(RuntimeError):
    """A checkpoint's shards cannot be used; says where they lie and what is missing."""


LARGEST_BUCKET = 500_000_000
"""Gradients reduced at once, in elements: DeepSpeed's default."""


def zero3_config(
    *,
    learning_rate: float,
    betas: tuple[float, float],
    epsilon: float,
    weight_decay: float,
    clip: float,
    accumulation: int = 1,
    bfloat16: bool = False,
    universal: bool = False,
) -> dict[str, Any]:
    """Return the DeepSpeed configuration of ZeRO stage 3 with torch's fused AdamW.

    ``accumulation`` counts forward passes per optimizer step and worker; ``clip`` is the largest
    global gradient norm (0: none); ``universal`` says that the checkpoint to load is one of
    `to_universal`.
    """
    return {
        "train_micro_batch_size_per_gpu": 1,  # one packed row of any length
        "gradient_accumulation_steps": accumulation,
        "gradient_clipping": clip,
        "optimizer": {
            "type": "AdamW",
            "params": {
                "lr": learning_rate,
                "betas": list(betas),
                "eps": epsilon,
                "weight_decay": weight_decay,
                "torch_adam": True,
                "fused": True,
            },
        },
        "bf16": {"enabled": bfloat16},
        "zero_optimization": {
            "stage": 3,
            "contiguous_gradients": True,
            # overlap needs a second stream; on CPUs it only costs
            "overlap_comm": accelerator() == "cuda",
            # else a Python autograd function around every matrix product
            "memory_efficient_linear": False,
        },
        "checkpoint": {"load_universal": universal},
        "steps_per_print": 2**31,
        "wall_clock_breakdown": False,
    }


def start_process(threads: int = 1) -> None:
    """Set up torch and the process group; outside Ray Train this process is a world of one."""
    torch.set_num_threads(threads)
    if not dist.is_initialized():
        os.environ.setdefault("LOCAL_RANK", "0")  # DeepSpeed reads it instead of asking
        dist.init_process_group(dist_backend(), store=dist.HashStore(), rank=0, world_size=1)
    # NVTX ranges cost some microseconds each, hundreds of times a step, and mean nothing on CPUs
    deepspeed.utils.nvtx.enable_nvtx = accelerator() == "cuda"
    deepspeed.init_distributed(dist_backend=dist_backend(), verbose=False)


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
    if leaves:
        set_z3_leaf_modules(model, list(leaves))
    size = sum(getattr(p, "ds_numel", p.numel()) for p in model.parameters())
    # DeepSpeed's own bucket takes 2 GB of address space, also for a model of a few megabytes
    zero = {**config["zero_optimization"], "reduce_bucket_size": min(LARGEST_BUCKET, size)}
    engine, *_ = deepspeed.initialize(model=model, config={**config, "zero_optimization": zero})
    return engine


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


def all_sum(values: Sequence[float]) -> list[float]:
    """Return the sums of ``values`` over all workers."""
    tensor = torch.tensor(values, dtype=torch.float64, device=device())
    if dist.get_world_size() > 1:
        dist.all_reduce(tensor)
    result: list[float] = tensor.tolist()
    return result


def world_size_of(folder: Path) -> int:
    """Return how many workers wrote the DeepSpeed checkpoint whose shards lie in ``folder``."""
    shards = len(list(folder.glob("*zero_pp_rank_*_optim_states.pt")))
    if not shards:
        raise ShardError(f"{folder} holds no optimizer shards of a DeepSpeed checkpoint")
    return shards


def to_universal(folder: Path, target: Path) -> None:
    """Convert the shards in ``folder`` into a universal checkpoint, which any number of workers
    loads.

    Runs in one process; ``target`` appears whole or not at all.
    """
    from deepspeed.checkpoint.ds_to_universal import main  # pulls in multiprocessing and tqdm

    world_size_of(folder)
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    # it prints its arguments and a progress bar per phase
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        main(
            argparse.Namespace(
                input_folder=str(folder),
                output_folder=str(partial),
                num_extract_workers=1,
                num_merge_workers=1,
                keep_temp_folder=False,
                strict=True,
                inject_missing_state=False,
            )
        )
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
