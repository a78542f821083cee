"""Which device this process computes on: the one place where CPU and GPU part ways."""

from __future__ import annotations

import os
from typing import Literal

import torch


def accelerator() -> Literal["cuda", "cpu"]:
    """Return "cuda" where torch sees a GPU, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def dist_backend() -> Literal["nccl", "gloo"]:
    """Return the torch.distributed backend that fits `accelerator`."""
    return "nccl" if accelerator() == "cuda" else "gloo"


def device() -> torch.device:
    """Return this process's device: the GPU of its local rank, or the CPU."""
    if accelerator() == "cpu":
        return torch.device("cpu")
    # Ray shows a worker only its own GPUs, so the local rank can exceed what is visible
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
