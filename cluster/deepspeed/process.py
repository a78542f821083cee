"""DeepSpeed in this process: how it is imported, and the process group.

Importing this module imports DeepSpeed, which takes seconds and patches torch. Nothing is compiled:
DeepSpeed's shared-memory op, which would need a compiler at run time, is off.
"""

from __future__ import annotations

import ctypes
import logging
import os
import warnings
from collections.abc import Sequence

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

deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h


def start_process(threads: int = 1) -> None:
    """Set up torch and the process group; outside Ray Train this process is a world of one."""
    torch.set_num_threads(threads)
    if accelerator() == "cpu":
        _keep_freed_memory()
    if not dist.is_initialized():
        os.environ.setdefault("LOCAL_RANK", "0")  # DeepSpeed reads it instead of asking
        dist.init_process_group(dist_backend(), store=dist.HashStore(), rank=0, world_size=1)
    # NVTX ranges cost some microseconds each, hundreds of times a step, and mean nothing on CPUs
    deepspeed.utils.nvtx.enable_nvtx = accelerator() == "cuda"
    deepspeed.init_distributed(dist_backend=dist_backend(), verbose=False)


def _keep_freed_memory() -> None:
    """Have glibc keep what is freed: a step takes the same blocks as the one before.

    Else it gives them back, depending on how the heap happens to lie, and the kernel clears them
    again: up to half as much time again for a step. Blocks from 32 MB on are given back as ever,
    which bounds what is kept.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:  # not in other C libraries
        mallopt(_MMAP_THRESHOLD, 32 << 20)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def all_sum(values: Sequence[float]) -> list[float]:
    """Return the sums of ``values`` over all workers."""
    tensor = torch.tensor(values, dtype=torch.float64, device=device())
    if dist.get_world_size() > 1:
        dist.all_reduce(tensor)
    result: list[float] = tensor.tolist()
    return result
