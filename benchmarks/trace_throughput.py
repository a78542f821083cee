"""The tracer against others: events with their locals per processor second, on twelve programs.

    python -m benchmarks.trace_throughput [--rounds N] [--programs]

All trace the same functions of the same files, in turn within a round; ``--programs`` prints the
table of the programs too. Peers come with ``pip install '.[bench]'``; one that is not installed is
said so. Speed is given in events of the programs (our frames), whatever a tracer makes of them;
what it really records is counted beside it.
"""

from __future__ import annotations

import argparse
import builtins
import gc
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.measure import Ratio, Seconds, interleaved, print_table, ratio
from benchmarks.trace_programs import PROGRAMS
from benchmarks.tracers import LIMITS, Program, Tracing, missing, tracers
from stages.trace.tracer import trace_source

Times = dict[str, dict[str, list[float]]]
"""Processor seconds of each tracer on each program, one number per round."""


def load(folder: Path) -> list[Program]:
    """Write the programs to files, since some tracers read the source of what they trace."""
    programs = []
    for name, source in PROGRAMS.items():
        path = folder / f"program_{name.replace(' ', '_')}.py"
        path.write_text(source)
        programs.append(Program(name, source, str(path)))
    return programs


def measure(found: list[Tracing], programs: list[Program], rounds: int) -> Times:
    """Time every tracer on every program, the tracers in turn.

    The first round is not counted: CPython adapts code that runs again, for all alike.
    """
    times: Times = {each.name: {program.name: [] for program in programs} for each in found}
    mains = {
        (each.name, program.name): each.load(program) for each in found for program in programs
    }
    for number in range(rounds + 1):
        for program in programs:
            for each in found:
                main = mains[each.name, program.name]
                gc.collect()
                started = time.process_time()
                for _ in range(each.repeats):
                    each.run(main, program)
                seconds = (time.process_time() - started) / each.repeats
                if number:
                    times[each.name][program.name].append(seconds)
    return times


def totals(times: Times) -> Seconds:
    """Sum the programs of each round."""
    return {
        name: [sum(column) for column in zip(*per_program.values(), strict=True)]
        for name, per_program in times.items()
    }


def bars() -> dict[tuple[str, str], float]:
    """Return what is aimed at: (ours, peer) → how many times as fast."""
    floor = 0.2 if sys.version_info < (3, 12) else 0.15
    return {
        ("C", "naive"): 8.0,
        ("C", "PySnooper"): 20.0,
        ("C", "hunter"): 20.0,
        ("C", "callback"): floor,
    } | ({("Python", "naive"): 0.7} if sys.version_info < (3, 12) else {})


def print_tracers(found: list[Tracing], seconds: Seconds, programs: list[Program]) -> None:
    """Print what each tracer does, how fast, and against ours."""
    frames = sum(program.frames for program in programs)
    aims = bars()
    rows = []
    for each in found:
        name = each.name
        fastest = min(seconds[name])
        records = sum(each.count(each.run(each.load(p), p)) for p in programs)
        row = [
            name,
            f"{frames / fastest / 1000:,.1f} k",
            f"{records:,}",
            f"{records / fastest / 1000:,.1f} k",
            f"{statistics.median(seconds[name]) / statistics.median(seconds['untraced']):,.0f}×",
        ]
        for own in ("C", "Python"):
            aim = aims.get((own, name))
            against = ratio(seconds, own, name) if own in seconds and own != name else "-"
            row.append(f"{against}" + (f"  aim {aim}" if aim else ""))
        rows.append(row)
    title = f"{frames:,} events with their locals of {len(programs)} programs"
    header = ["tracer", "events/s", "records", "records/s", "slow-down", "C is faster", "Python is"]
    print_table(title, header, rows)
    for each in found:
        print(f"{each.name}: {each.records}")


def print_programs(found: list[Tracing], times: Times, programs: list[Program]) -> None:
    """Print events per second for each program and tracer, in thousands."""
    rows = [
        [program.name, f"{program.frames:,}"]
        + [f"{program.frames / min(times[each.name][program.name]) / 1000:,.1f}" for each in found]
        for program in programs
    ]
    print_table("thousand events/s", ["program", "events", *(each.name for each in found)], rows)


def long_list() -> Ratio:
    """Return what an event costs beside a list of ten million items, against an empty one."""
    source = "def main(items=benchmark_items):\n    for i in range(3000):\n        i += 1\n"
    lists: dict[str, list[int]] = {"empty": [], "long": [0] * 10_000_000}

    def traced(name: str) -> None:
        builtins.benchmark_items = lists[name]  # type: ignore[attr-defined]
        trace_source(source, "main", "", LIMITS)

    seconds = interleaved({name: partial(traced, name) for name in lists})
    return ratio(seconds, "empty", "long")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--programs", action="store_true", help="print each program's figures too")
    options = parser.parse_args()
    for line in missing():
        print(line)
    with tempfile.TemporaryDirectory() as folder:
        programs = load(Path(folder))
        found = tracers()
        times = measure(found, programs, options.rounds)
        print_tracers(found, totals(times), programs)
        if options.programs:
            print_programs(found, times, programs)
    print(f"a list of 10,000,000 items in scope costs {long_list()} an empty one; aim: at most 2")


if __name__ == "__main__":
    main()
