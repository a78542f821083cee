"""Training with one worker and with two: what each worker and each second is worth.

    python -m benchmarks.scaling [--models tiny "5.5 M"] [--tokens 256 1024 2048] [--rounds 5]

Runs `stages.training.loop.train` in one process and in two that share a step under ZeRO-3 (gloo,
one thread each, a row of so many tokens per worker), five steps in turn, without start-up. Prints
two workers over one: tokens per wall second (2.0 would be no loss) and per CPU second (1.0 would be
none).

Wall seconds need two idle cores: what else the machine does comes into the first ratio in full, for
two workers wait for the slower one. Takes about three minutes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Seconds, print_table, ratio  # first: one thread
from benchmarks.trainers import TURN, Loop
from benchmarks.training_jobs import MODELS, write_tokens

WARM_UP = 2


def race(model: str, tokens: int, rounds: int) -> tuple[Seconds, Seconds]:
    """Train with one and two workers; return the CPU and wall seconds of each turn, by workers."""
    cpu: Seconds = {"1": [], "2": []}
    wall: Seconds = {"1": [], "2": []}
    loops: dict[str, Loop] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder, steps = Path(temporary), (WARM_UP + rounds + 1) * TURN
        write_tokens(folder, MODELS[model], [min(tokens, 256)] * 1000)
        try:
            for workers in cpu:
                loops[workers] = Loop(
                    "ours",
                    model,
                    folder,
                    workers=int(workers),
                    steps=steps,
                    context_length=min(tokens, 256),
                    row_tokens=tokens,
                )
            for number in range(WARM_UP + rounds):
                for workers, loop in loops.items():
                    started = time.perf_counter()
                    spent = loop.turn()
                    if number >= WARM_UP:
                        cpu[workers].append(spent)
                        wall[workers].append(time.perf_counter() - started)
            for loop in loops.values():
                loop.losses()
        finally:
            for loop in loops.values():
                loop.end()
    return cpu, wall


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS])
    parser.add_argument("--tokens", nargs="+", type=int, default=[256, 1024, 2048])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    table = []
    for model in arguments.models:
        for tokens in arguments.tokens:
            cpu, wall = race(model, tokens, arguments.rounds)
            # two workers make twice the tokens of a turn
            doubled = [{"1": s["1"], "2": [x / 2 for x in s["2"]]} for s in (wall, cpu)]
            table.append(
                [
                    f"{model}, {tokens:,}",
                    f"{TURN * tokens / min(wall['1']):,.0f}",
                    *(str(ratio(seconds, "2", "1")) for seconds in doubled),
                ]
            )
    print_table(
        "Two workers over one",
        [
            "model, tokens per worker and step",
            "tokens/s of one",
            "per wall second",
            "per CPU second",
        ],
        table,
    )


if __name__ == "__main__":
    main()
