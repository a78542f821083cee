"""Training with our loop against transformers' Trainer with DeepSpeed ZeRO-3.

    python -m benchmarks.train_step [--workers 1] [--rounds 5]

The same weights of 5.5 M parameters, the same rows of 2,048 tokens in the same order, the same
DeepSpeed configuration, optimizer and world size; fp32, one thread, a row per worker and step.
Ours is `stages.training.loop.train`, whole, with reading, metrics and what else a step takes; the
peer is `Trainer.train` on `CwmForCausalLM`. Each runs in processes of its own, and they take turns
of five steps; the first two of each are warm-up. Two kinds of rows: one document of 2,048 tokens,
so that neither packing nor padding plays a part; and documents of 64 to 448, packed: the Trainer
gets them in the same rows, with `position_ids` that restart, which its model makes a mask of (to
pad each document would cost it more). The losses must agree, or nothing is printed.

What ours has that the peer has not: blocks as ZeRO-3 leaf modules, attention that takes a window or
a document at a time, oneDNN's products (`benchmarks.train_throughput` has the model's part alone).
Needs `accelerate` (the extra `bench`). Takes about two minutes for one worker.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from benchmarks.measure import Seconds, print_table, ratio  # first: one thread

import torch  # isort: skip

from benchmarks.trainers import TURN, Loop
from benchmarks.training_jobs import MODELS, shape_of, write_tokens
from model import CWM

ROW = 2048
WARM_UP = 2
BAR = 1.3
"""Tokens per CPU second, times the Trainer's, on one document of 2,048 tokens."""
MODEL = "5.5 M"
LOOPS: dict[str, Literal["ours", "hf"]] = {"ours": "ours", "Trainer": "hf"}


def race(lengths: list[int], workers: int, rounds: int) -> Seconds:
    """Train both on documents of these lengths; return the CPU seconds of each turn.

    Raises `ValueError` unless both have the same losses.
    """
    seconds: Seconds = {name: [] for name in LOOPS}
    with tempfile.TemporaryDirectory() as temporary:
        folder, context = Path(temporary), max(lengths)
        write_tokens(folder, MODELS[MODEL], lengths)
        torch.manual_seed(0)
        CWM(shape_of(MODELS[MODEL], context)).save_pretrained(folder / "weights")
        sizes = {"workers": workers, "steps": (WARM_UP + rounds + 1) * TURN}
        loops: dict[str, Loop] = {}
        try:
            for name, loop in LOOPS.items():
                loops[name] = Loop(
                    loop, MODEL, folder, **sizes, context_length=context, row_tokens=ROW
                )
            for number in range(WARM_UP + rounds):
                for name, running in loops.items():
                    spent = running.turn()
                    if number >= WARM_UP:
                        seconds[name].append(spent)
            losses = [running.losses() for running in loops.values()]
        finally:
            for running in loops.values():
                running.end()
    if len(losses[0]) != len(losses[1]) or _difference(*losses) > 1e-4:
        raise ValueError(f"the loops do not compute the same: {losses}")
    return seconds


def _difference(one: list[float], other: list[float]) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if find_spec("accelerate") is None:
        print("transformers' Trainer needs accelerate: pip install '.[bench]'")
        return
    short = random.Random(0)
    kinds = {"one document": [ROW] * 200, "packed": [short.randint(64, 448) for _ in range(2000)]}
    table = []
    for workers in arguments.workers:
        for kind, lengths in kinds.items():
            seconds = race(lengths, workers, arguments.rounds)
            found = ratio(seconds, "ours", "Trainer")
            rates = [f"{TURN * ROW * workers / min(seconds[name]):,.0f}" for name in LOOPS]
            verdict = f"≥ {BAR}: {'met' if found.median >= BAR else 'NOT met'}"
            table.append(
                [
                    f"{kind}, {workers}",
                    *rates,
                    str(found),
                    verdict if kind == "one document" else "",
                ]
            )
    print_table(
        f"Tokens per CPU second, rows of {ROW:,} tokens",
        ["rows, workers", "ours", "Trainer", "ours / Trainer", "bar"],
        table,
    )


if __name__ == "__main__":
    main()
