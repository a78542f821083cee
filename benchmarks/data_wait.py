"""How long training waits for data: the share of a step that it takes to read and pack rows.

    python -m benchmarks.data_wait [--models tiny "5.5 M"] [--tokens 256 2048]

Runs `stages.training.loop.train` on documents of 128 tokens and prints what its own metrics say:
the seconds of the phase "data" over all of a step's, by the clock, the median line of five steps
each, and its quartiles. Another program that takes the core just then counts. fp32, one thread.

Takes about a minute and a half.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from benchmarks.measure import print_table  # first: one thread
from benchmarks.training_jobs import MODELS, make_job, write_tokens
from cluster.dag.metrics import read_metrics
from stages.training.checkpoints import Checkpoints
from stages.training.loop import train

DOCUMENT = 128
STEPS = 160
BAR = 0.01
"""Share of a step that data may take."""


def waits(model: str, tokens: int) -> list[float]:
    """Train, and return the share of each line of metrics but the first two."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_tokens(folder, MODELS[model], [DOCUMENT] * 2000)
        steps = max(40, STEPS * 256 // tokens)
        job = make_job(
            folder, MODELS[model], context_length=DOCUMENT, row_tokens=tokens, steps=steps
        )
        train(job, Checkpoints(job.scratch))
        lines = [line["metrics"] for line in read_metrics(job.metrics_file)]
    return [line["data_wait"] for line in lines if "data_wait" in line][2:]


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS])
    parser.add_argument("--tokens", nargs="+", type=int, default=[256, 2048])
    arguments = parser.parse_args()
    table = []
    for model in arguments.models:
        for tokens in arguments.tokens:
            low, median, high = statistics.quantiles(waits(model, tokens), n=4)
            verdict = f"≤ {BAR:.0%}: {'met' if median <= BAR else 'NOT met'}"
            table.append([f"{model}, {tokens:,}", f"{median:.2%} ({low:.2%}–{high:.2%})", verdict])
    print_table("Waiting for data", ["model, tokens per step", "of a step", "bar"], table)


if __name__ == "__main__":
    main()
