"""The trace stage over more and more traces: what its processes hold in memory, and what one costs.

    python -m benchmarks.trace_scale [TRACES ...]

Each size runs in fresh processes: the stage's own, which plans, selects, sorts, writes and takes
the digest as at publishing, and one Ray actor, which generates, traces and makes rows. Memory is
the peak of what is resident, above the stage's own start and above the actor's first moments, its
imports included. Flat memory and linear time show as ratios to the smallest size near 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import ray
from rich.console import Console
from rich.table import Table

from cluster.dag.metrics import read_statistics
from cluster.dag.stage import Input, StepContext
from stages.kind_checks import check_traces, digest_splits
from stages.tables import DOCUMENTS, DROPPED, write_table
from stages.trace.run import run
from stages.trace.settings import TracePlacement, TraceSettings

SIZES = (10_000, 30_000, 100_000)
_ACTOR = b"ray::_Worker"
_TICKS = os.sysconf("SC_CLK_TCK")


class Watcher(threading.Thread):
    """Looks now and then at the actor: its peak memory in kB, and its CPU seconds."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peaks: list[int] = []
        self.seconds = 0.0

    def run(self) -> None:
        """Look until the process ends."""
        while True:
            for child in psutil.Process().children(recursive=True):
                process = Path("/proc") / str(child.pid)
                try:
                    if _ACTOR in (process / "cmdline").read_bytes():
                        self.peaks.append(peak(process))
                        self.seconds = max(self.seconds, cpu_seconds(process))
                except OSError:
                    continue  # it has ended
            time.sleep(0.1)


def peak(process: Path) -> int:
    """Return the peak of a process's resident memory, in kB."""
    lines = (process / "status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def cpu_seconds(process: Path) -> float:
    """Return the CPU seconds of a process and of its children that have ended."""
    fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / _TICKS


def measure(traces: int) -> dict[str, float]:
    """Run the stage over generated programs; return seconds, and kB of memory."""
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    me, watcher = Path("/proc/self"), Watcher()
    levels = ((2, traces // 2), (3, traces // 2))
    with tempfile.TemporaryDirectory() as folder:
        context = _context(Path(folder), TraceSettings(program_levels=levels))
        before, begun = peak(me), cpu_seconds(me)
        watcher.start()
        run(context)
        check_traces(context.output)
        digest_splits(context.output)
        counts = read_statistics(context.statistics_file)
        return {
            "made": counts["traces.made"],
            "kept": counts["traces"],
            "stage seconds": cpu_seconds(me) - begun,
            "worker seconds": watcher.seconds,
            "stage kB": peak(me) - before,
            "worker kB": watcher.peaks[-1] - watcher.peaks[0],
        }


def _context(folder: Path, settings: TraceSettings) -> StepContext:
    corpus = folder / "corpus"
    for split in ("train", "heldout"):
        write_table(corpus / split, DOCUMENTS, [])
    write_table(corpus / "dropped", DROPPED, [])
    for name in ("output", "scratch"):
        (folder / name).mkdir()
    return StepContext(
        step="trace",
        settings=settings,
        placement=TracePlacement(workers=1),
        inputs={"corpus": Input(path=corpus, kind="corpus", digest="")},
        output=folder / "output",
        scratch=folder / "scratch",
    )


def main() -> None:
    """Measure every size in a process of its own and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("traces", nargs="*", type=int, default=SIZES, help="programs of each run")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.traces[0])))
        return
    found = [_in_a_process(size) for size in options.traces]
    table = Table(title="The trace stage, one worker", title_justify="left")
    for name in ("programs", "made", "kept", "stage s", "worker s", "ms a trace", "× smallest"):
        table.add_column(name, justify="right")
    for name in ("stage MB", "× smallest", "worker MB", "× smallest"):
        table.add_column(name, justify="right")
    for size, one in zip(options.traces, found, strict=True):
        table.add_row(*_cells(size, one, found[0]))
    Console(width=140).print(table)


def _in_a_process(traces: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.trace_scale", "--one", str(traces)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    value: dict[str, float] = json.loads(said.splitlines()[-1])
    return value


def _cells(size: int, one: dict[str, float], first: dict[str, float]) -> list[str]:
    def each(run: dict[str, float]) -> float:
        return 1000 * (run["stage seconds"] + run["worker seconds"]) / run["made"]

    cells = [f"{size:,}", f"{one['made']:,}", f"{one['kept']:,}"]
    cells += [f"{one['stage seconds']:.1f}", f"{one['worker seconds']:.1f}"]
    cells += [f"{each(one):.2f}", f"{each(one) / each(first):.2f}"]
    for name in ("stage kB", "worker kB"):
        cells += [f"{one[name] / 1024:.0f}", f"{one[name] / max(1, first[name]):.2f}"]
    return cells


if __name__ == "__main__":
    main()
