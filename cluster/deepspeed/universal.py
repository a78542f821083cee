"""Checkpoints of one world size for another: DeepSpeed's universal format."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch.distributed as dist

from cluster.deepspeed.errors import ShardError

MOST_WORKERS = 8
"""Processes that convert at once: each holds one rank's shards in memory."""


def world_size_of(folder: Path) -> int:
    """Return how many ranks wrote the DeepSpeed checkpoint whose shards lie in ``folder``."""
    shards = len(list(folder.glob("*zero_pp_rank_*_optim_states.pt")))
    if not shards:
        raise ShardError(f"{folder} holds no optimizer shards of a DeepSpeed checkpoint")
    return shards


def to_universal(folder: Path, target: Path) -> None:
    """Convert the shards in ``folder`` into a universal checkpoint, which any number of ranks
    loads.

    Other processes do it; ``target`` appears whole or not at all. Raises `ShardError` with the last
    lines that the conversion printed.
    """
    workers = min(MOST_WORKERS, world_size_of(folder), len(os.sched_getaffinity(0)))
    partial = target.with_name(target.name + ".partial")
    for left in (partial, target):
        shutil.rmtree(left, ignore_errors=True)
    # a process of its own: it forks, which one that has computed with several threads must not
    command = [sys.executable, "-m", "deepspeed.checkpoint.ds_to_universal"]
    command += ["--input_folder", str(folder), "--output_folder", str(partial)]
    command += ["--num_extract_workers", str(workers), "--num_merge_workers", str(workers)]
    environment = os.environ | {"DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, check=False, capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-10:])
        raise ShardError(f"{folder} could not be converted for another number of ranks:\n{said}")
    (partial.parent / "latest_universal").unlink(missing_ok=True)
    partial.rename(target)


@contextmanager
def loadable(folder: Path, scratch: Path) -> Iterator[tuple[Path, bool]]:
    """Give a folder with the shards of ``folder`` that this number of ranks loads, and whether it
    is a universal checkpoint.

    Called by all ranks. Rank 0 converts below ``scratch``, which all ranks see, when another number
    of ranks wrote the shards; the conversion is removed at the end.
    """
    if world_size_of(folder) == dist.get_world_size():
        yield folder, False
        return
    target = scratch / "universal"
    if dist.get_rank() == 0:
        shutil.rmtree(target, ignore_errors=True)
    dist.barrier()
    if dist.get_rank() == 0:
        to_universal(folder, target)
    while not target.exists():  # for large models longer than a collective may wait
        time.sleep(0.2)
    yield target, True
    dist.barrier()
    if dist.get_rank() == 0:
        shutil.rmtree(target)
