"""Decoding against HF's ``generate`` and vLLM: the same checkpoint, tokens per CPU second.

    python -m benchmarks.decode_throughput [--vllm-python PYTHON] [--profile]

One random checkpoint of 11 M parameters, written by ours and loaded by all; prompts of 64 tokens,
48 new ones, greedy, fp32, one thread, prefill included. vLLM runs in a child process under its own
interpreter (`make vllm` builds it), eager and compiled, warmed up before anything is measured and
without computing log-probabilities, which ours always does; as pip installs it, without tcmalloc or
libiomp preloaded. The engines take turns, round by round.

The second table is a queue of 128 prompts of mixed length, each continued by its own number of
tokens; only those tokens count. Ours and vLLM give a finished sample's lane to the next prompt; HF
takes batches of 32 in the queue's order, and each goes on until its longest continuation is whole.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from random import Random

from benchmarks.measure import Seconds, print_table, ratio  # before torch: one OpenMP thread

import torch  # isort: skip

from benchmarks.decode_engines import HF, STOP, VLLM, Engine, Ids, Ours, vllm_python
from benchmarks.shapes import ELEVEN_MILLION
from model import CWM

PROMPT, NEW = 64, 48
LENGTH, LANES = 512, 32
BATCHES = (1, 8, 32)
QUEUE = 128  # prompts
OURS, THEIRS, EAGER, COMPILED = "ours", "HF", "vLLM eager", "vLLM compiled"


def random_prompts(lengths: Sequence[int], seed: int) -> list[Ids]:
    """Return prompts of these lengths."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, 8000, (n,), generator=generator).tolist() for n in lengths]


@contextmanager
def engines(
    checkpoint: Path, python: Path | None, wanted: Sequence[str]
) -> Iterator[dict[str, Engine]]:
    """Load the checkpoint into every engine that is there."""
    with ExitStack() as stack:
        children: dict[str, VLLM] = {}
        for mode in ("eager", "compiled"):
            if python is not None and f"vLLM {mode}" in wanted:
                child = VLLM(python, checkpoint, mode, LENGTH, LANES)
                stack.callback(child.close)
                children[f"vLLM {mode}"] = child
        loaded: dict[str, Engine] = {}
        if OURS in wanted:
            loaded[OURS] = Ours(checkpoint, LENGTH, LANES)
        if THEIRS in wanted:
            loaded[THEIRS] = HF(checkpoint, LANES)
        for name, child in children.items():
            found = child.ready()
            print(f"{name}: {found['version']}, {found['compilation']}, {found['threads']} thread")
        yield loaded | children


@dataclass(frozen=True, slots=True)
class Workload:
    """Prompts, how many tokens each is continued by, and the ratio to each peer that is aimed at
    (0: none)."""

    prompts: list[Ids]
    limits: list[int]
    bars: dict[str, float]


def batch_of(size: int) -> Workload:
    """Return the usual workload: equal prompts in one batch."""
    bars = {THEIRS: 1.0, EAGER: 1.0, COMPILED: 1.0 if size >= 32 else 0.9}
    return Workload(random_prompts([PROMPT] * size, seed=size), [NEW] * size, bars)


def queue() -> Workload:
    """Return a queue of mixed lengths, both uniform: long tails would flatter us more."""
    random = Random(0)
    lengths = [random.randint(16, 256) for _ in range(QUEUE)]
    limits = [random.randint(8, 128) for _ in range(QUEUE)]
    return Workload(random_prompts(lengths, seed=0), limits, {THEIRS: 2.0})


@dataclass(frozen=True, slots=True)
class Measured:
    """CPU seconds per engine and round, and what each engine wrote."""

    seconds: Seconds
    tokens: dict[str, list[Ids]]


def measure(loaded: Mapping[str, Engine], workload: Workload, rounds: int) -> Measured:
    """Let the engines take turns, after each has done some of it unmeasured."""
    measured = Measured({name: [] for name in loaded}, {})
    names = list(loaded)
    repeats = max(1, 4 // len(workload.prompts))  # else a round of batch 1 is too short to tell
    for engine in loaded.values():
        engine.decode(workload.prompts[:LANES], workload.limits[:LANES])
    for number in range(rounds):
        shift = number % len(names)  # nobody always runs after the same neighbour
        for name in names[shift:] + names[:shift]:
            runs = [loaded[name].decode(workload.prompts, workload.limits) for _ in range(repeats)]
            measured.seconds[name].append(statistics.mean(run.seconds for run in runs))
            measured.tokens[name] = runs[0].tokens
            if [len(tokens) for tokens in runs[0].tokens] != workload.limits:
                raise RuntimeError(f"{name} did not write as many tokens as it was asked for")
    return measured


def agreement(tokens: list[Ids], others: list[Ids]) -> float:
    """Return the share of equal tokens, apart from the stop tokens that our guide writes."""
    pairs = zip(chain.from_iterable(tokens), chain.from_iterable(others), strict=True)
    return statistics.mean(a == b for a, b in pairs if STOP not in (a, b))


def rows(workload: Workload, measured: Measured) -> Iterator[list[str]]:
    """Yield each engine's tokens per CPU second and its comparison with ours."""
    for name, seconds in measured.seconds.items():
        row = [name, f"{sum(workload.limits) / statistics.median(seconds):,.0f}", "", "", "", ""]
        if name != OURS and OURS in measured.seconds:
            found, bar = ratio(measured.seconds, OURS, name), workload.bars.get(name)
            row[2] = str(found)
            if bar:
                row[3:5] = [f"≥ {bar:.1f}×", "met" if found.median >= bar else "missed"]
        if THEIRS in measured.tokens:
            row[5] = f"{agreement(measured.tokens[name], measured.tokens[THEIRS]):.1%}"
        yield row


def report(title: str, first: str, found: Mapping[object, tuple[Workload, Measured]]) -> None:
    """Print a table with one group of rows per workload."""
    header = (first, "engine", "tokens/CPU s", "ours/peer (range)", "bar", "this run", "as HF")
    body = [[label, *row] for label, pair in found.items() for row in rows(*pair)]
    print_table(title, header, body)


def profile(checkpoint: Path, workload: Workload) -> None:
    """Print where our decoding's time goes."""
    ours = Ours(checkpoint, LENGTH, LANES)
    ours.decode(workload.prompts, workload.limits)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiled:
        ours.decode(workload.prompts, workload.limits)
    averages = profiled.key_averages()
    print(averages.table(sort_by="self_cpu_time_total", row_limit=20, max_name_column_width=40))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vllm-python", type=Path, help="an interpreter that has vLLM")
    parser.add_argument("--rounds", type=int, default=5, help="of the batches; the queue has 3")
    parser.add_argument("--batches", type=int, nargs="*", default=BATCHES)
    names = (OURS, THEIRS, EAGER, COMPILED)
    parser.add_argument("--engines", nargs="+", default=names, choices=names)
    parser.add_argument("--no-queue", action="store_true", help="leave the queue out")
    parser.add_argument("--profile", action="store_true", help="show where our time goes instead")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    given = arguments()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder)
        torch.manual_seed(0)
        CWM(ELEVEN_MILLION).save_pretrained(checkpoint)
        if given.profile:
            for size in given.batches:
                print(f"batch {size}, prompt {PROMPT}, {NEW} new tokens:")
                profile(checkpoint, batch_of(size))
            return
        python = vllm_python(given.vllm_python) if {EAGER, COMPILED} & set(given.engines) else None
        with engines(checkpoint, python, given.engines) as loaded:
            batches = {size: batch_of(size) for size in given.batches}
            found = {n: (work, measure(loaded, work, given.rounds)) for n, work in batches.items()}
            if found:
                report(f"Decoding, prompt {PROMPT}, {NEW} new tokens, fp32", "batch", found)
            if not given.no_queue:
                work = queue()
                pair = work, measure(loaded, work, min(3, given.rounds))
                title = f"A queue: prompts of 16-256 tokens, 8-128 new ones, {LANES} lanes, fp32"
                report(title, "prompts", {QUEUE: pair})


if __name__ == "__main__":
    main()
