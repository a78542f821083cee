"""Several ranks of one gloo process group, each a process of its own with one thread.

    losses = run_ranks(2, train, steps)  # [train(steps) of rank 0, train(steps) of rank 1]

The function is found by its name in its module, so it must not be a lambda or a local one. Starting
a process and importing DeepSpeed takes some 4 s: let one call prove several things.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any


class RankError(AssertionError):
    """A rank raised, ended without a result, or did not end in time; holds its traceback."""


def run_ranks(
    count: int, function: Callable[..., Any], *arguments: Any, timeout: float = 500
) -> list[Any]:
    """Call ``function(*arguments)`` in ``count`` ranks and return each rank's result, in order.

    Arguments and results must be picklable. `RankError` when a rank fails or all together take
    longer than ``timeout`` seconds; no process is left.
    """
    context = multiprocessing.get_context("spawn")
    processes: list[SpawnProcess] = []
    results: dict[Connection, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            for rank in range(count):
                ours, theirs = context.Pipe(duplex=False)
                given = (theirs, rank, count, f"{folder}/store", function, arguments)
                process = context.Process(target=_rank, args=given, name=f"rank {rank}")
                process.start()
                theirs.close()  # so that the end of the process is the end of the pipe
                processes.append(process)
                results[ours] = rank
            return _collect(results, time.monotonic() + timeout)
        finally:
            for process in processes:
                process.kill()  # those with a result have nothing left to do
                process.join()


def _collect(waiting: dict[Connection, int], deadline: float) -> list[Any]:
    found: dict[int, Any] = {}
    left = dict(waiting)
    while left:
        ready = wait(list(left), max(deadline - time.monotonic(), 0))
        if not ready:
            raise RankError(f"ranks {sorted(left.values())} did not end in time")
        errors = []
        for connection in ready:
            assert isinstance(connection, Connection)
            rank = left.pop(connection)
            try:
                since, error, found[rank] = connection.recv()
            except EOFError:
                raise RankError(f"rank {rank} ended without a result") from None
            if error:
                errors.append((since, f"rank {rank}:\n{error}"))
        if errors:  # the first, after which others lose their connections to it
            raise RankError(min(errors)[1])
    return [found[rank] for rank in sorted(found)]


def _rank(
    connection: Connection,
    rank: int,
    count: int,
    store: str,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    """What the process of one rank runs."""
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "OMP_NUM_THREADS": 1}
    os.environ |= {name: str(value) for name, value in numbers.items()}
    try:
        import torch
        import torch.distributed as dist

        torch.set_num_threads(1)
        dist.init_process_group(
            "gloo", store=dist.FileStore(store, count), rank=rank, world_size=count
        )
        result = function(*arguments)
        dist.barrier()  # a rank that ended would break the others' connections
    except BaseException:
        connection.send((time.monotonic(), traceback.format_exc(), None))
        raise
    connection.send((0.0, "", result))
