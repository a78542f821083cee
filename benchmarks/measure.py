"""How the benchmarks measure: processor seconds of one thread, and memory in fresh processes.

Processor seconds are steadier than the clock where other programs run, but not independent of
them (caches and memory bandwidth are shared). So variants take turns, and a ratio is given with
its range over the rounds: a difference inside that range is none.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported

import torch
from rich.console import Console
from rich.table import Table

Seconds = dict[str, list[float]]
"""Processor seconds of each variant, one number per round."""


def interleaved(
    variants: Mapping[str, Callable[[], object]], rounds: int = 5, warmup: int = 1
) -> Seconds:
    """Run every variant ``warmup`` times unmeasured, then all in turn, ``rounds`` times."""
    torch.set_num_threads(1)
    for run in variants.values():
        for _ in range(warmup):
            run()
    seconds: Seconds = {name: [] for name in variants}
    for _ in range(rounds):
        for name, run in variants.items():
            gc.collect()
            started = time.process_time()
            run()
            seconds[name].append(time.process_time() - started)
    return seconds


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times ``peer``'s seconds are ``ours``: over 1 is faster than the peer."""

    median: float
    low: float  # the least and the greatest ratio within a round
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f}× ({self.low:.2f}–{self.high:.2f})"


def ratio(seconds: Seconds, ours: str, peer: str) -> Ratio:
    """Compare two variants round by round."""
    pairs = [b / a for a, b in zip(seconds[ours], seconds[peer], strict=True)]
    return Ratio(statistics.median(pairs), min(pairs), max(pairs))


def extra_memory(case: Callable[..., Iterator[None]], *arguments: Any) -> int:
    """Return by how many bytes a case raises the peak of resident memory.

    ``case`` is a generator function of a module, run in a new process: what comes before its one
    ``yield`` is preparation and not counted.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_peak, args=(sender, case, arguments))
    process.start()
    sender.close()
    try:
        found: int = receiver.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"{case.__name__} ended with exit code {process.exitcode}") from None
    process.join()
    return found


def _peak(sender: Any, case: Callable[..., Iterator[None]], arguments: Sequence[Any]) -> None:
    torch.set_num_threads(1)
    running = case(*arguments)
    next(running)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak starts again from here
    before = _status("VmRSS")
    for _ in running:
        raise RuntimeError(f"{case.__name__} must yield once, after its preparation")
    sender.send(max(0, _status("VmHWM") - before))


def _status(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print figures as a table, with what they were measured on above it."""
    load = os.getloadavg()[0]
    console = Console(width=None if os.isatty(1) else 120)
    console.print(
        f"torch {torch.__version__}, Python {platform.python_version()},"
        f" {torch.get_num_threads()} thread, load average {load:.1f}",
        style="dim",
    )
    table = Table(title=title, title_justify="left")
    for place, name in enumerate(header):
        table.add_column(name, justify="right" if place else "left")
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)
