"""Programs per processor second: fresh interpreters, bubblewrap around them, and our fork server.

    python -m benchmarks.sandbox_throughput [--rounds N]

``trivial`` is a program that does nothing; ``traced`` traces a small one and returns its recording.
Processor seconds are those of all processes, the server's and its forks' among them. What a server
costs to start is given apart: it is spent once for some thousand programs.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psutil

from benchmarks.measure import Seconds, print_table, ratio
from cluster.sandbox import Sandbox
from cluster.sandbox.commands import bwrap_command
from cluster.sandbox.layer import ROOT, probe
from cluster.sandbox.view import ENVIRONMENT, interpreter_paths, package_paths, view

SOURCE = """def main():
    total = 0
    for i in range(10):
        total += i
    return total
"""
LIMITS = {"events": 10_000}
WORKER = "stages.trace.worker"
FRESH_PROGRAMS = {
    "trivial": "pass",
    "traced": "import json; from stages.trace.tracer.whole_program import trace_source;"
    f" json.dumps(trace_source({SOURCE!r}).to_json())",
}
CALLS: dict[str, tuple[str, Any, tuple[str, ...]]] = {  # target, payload, modules to preload
    "trivial": ("operator:truth", None, ()),
    "traced": (f"{WORKER}:trace_one", {"source": SOURCE, "limits": LIMITS}, (WORKER,)),
}
FRESH_COUNT, OUR_COUNT = 10, 200  # programs in a round
OURS, PLAIN, BARE = "ours", "python", "python -I -S"
ENV = {**ENVIRONMENT, "PYTHONPATH": str(ROOT)}
Run = Callable[[], float]


def fresh(command: Sequence[str], program: str) -> Run:
    """Return a run of fresh interpreters: processor seconds of one."""

    def run() -> float:
        before = _children()
        for _ in range(FRESH_COUNT):
            subprocess.run([*command, "-c", program], check=True, stdin=subprocess.DEVNULL, env=ENV)
        return (_children() - before) / FRESH_COUNT

    return run


def ours(box: Sandbox, name: str) -> Run:
    """Return a run of calls in the sandbox: processor seconds of one, on both sides of it."""

    target, payload, _ = CALLS[name]

    def run() -> float:
        before = time.process_time() + _tree()
        for _ in range(OUR_COUNT):
            result = box.call(target, payload)
            assert result.outcome == "ok", result
        return (time.process_time() + _tree() - before) / OUR_COUNT

    return run


def _children() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _tree() -> float:
    """Return the processor seconds of everything below this process that runs, and its dead."""
    return sum(sum(process.cpu_times()[:4]) for process in psutil.Process().children(True))


@contextmanager
def sandbox(preload: Sequence[str], start_seconds: list[float]) -> Iterator[Sandbox]:
    """Open a sandbox and note what its server costs to start."""
    before = _tree()
    with Sandbox(preload=preload) as box:
        start_seconds.append(_tree() - before)
        yield box


def variants(box: Sandbox, name: str) -> dict[str, Run]:
    """Return what is compared for one program, ours first.

    ``-I -S`` leaves out site-packages and PYTHONPATH, so the traced program gets its path by hand.
    """
    program = FRESH_PROGRAMS[name]
    by_hand = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {program}"
    seen = view([*interpreter_paths(), *package_paths(ROOT)])
    found = {
        OURS: ours(box, name),
        PLAIN: fresh([sys.executable], program),
        BARE: fresh([sys.executable, "-I", "-S"], by_hand),
    }
    if probe().layer == "bwrap":
        enter = bwrap_command(seen, ENV)
        found["bubblewrap, python"] = fresh([*enter, sys.executable], program)
        found["bubblewrap, python -I -S"] = fresh([*enter, sys.executable, "-I", "-S"], by_hand)
    return found


def measure(box: Sandbox, name: str, rounds: int) -> Seconds:
    """Take turns; return each variant's processor seconds of one program, by round."""
    runs = variants(box, name)
    for run in runs.values():
        run()
    seconds: Seconds = {variant: [] for variant in runs}
    for _ in range(rounds):
        for variant, run in runs.items():
            seconds[variant].append(run())
    return seconds


def main() -> None:
    """Measure both programs and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    start: list[float] = []
    rows: list[list[object]] = []
    for name, (_, _, preload) in CALLS.items():
        with sandbox(preload, start) as box:
            seconds = measure(box, name, rounds)
        for variant, spent in seconds.items():
            one = sorted(spent)[len(spent) // 2]
            times = "" if variant == OURS else ratio(seconds, OURS, variant)
            rows.append([f"{name}: {variant}", f"{one * 1e3:.2f}", f"{1 / one:.0f}", times])
    header = ("program", "CPU ms each", "per CPU second", "ours is")
    print_table(f"Programs in a sandbox (layer {box.layer})", header, rows)
    costs = " and ".join(f"{seconds * 1e3:.0f}" for seconds in start)
    print(f"Starting the servers of the two cost {costs} ms of CPU.")


if __name__ == "__main__":
    main()
