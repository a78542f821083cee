"""Checkpoints of one world size for another: DeepSpeed's universal format."""

from __future__ import annotations

import argparse
import os
import shutil
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from cluster.deepspeed.errors import ShardError


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
