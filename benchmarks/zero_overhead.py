"""What ZeRO-3 costs where nothing is divided: a world of one against plain AdamW.

    python -m benchmarks.zero_overhead [--models tiny "5.5 M"] [--rounds 6]

The engine is the one that a training stage makes (blocks as leaf modules); plain is the same model
with torch's fused AdamW and `clip_grad_norm_`. Both take turns in one process on the same packed
row, of documents of 128 tokens; fp32, one thread. What is over 1.00 is the price of the hooks per
module and of the copies of gradients and weights, so it falls with the tokens of a step.

Takes about two minutes.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import interleaved, print_table, ratio  # first: one thread

import torch  # isort: skip

from benchmarks.training_jobs import LEARNING_RATE, MODELS, OPTIMIZER, make_job, write_tokens
from cluster.deepspeed import start_process
from model import CWM
from stages.training.batch import Batch
from stages.training.checkpoints import Checkpoints
from stages.training.engine import open_engine
from stages.training.job import Job
from stages.training.sequence_parallel import SequenceParallel
from stages.training.step import read

STEPS = {256: 16, 1024: 4, 2048: 2, 8192: 1}
"""How many steps of so many tokens make a round."""
DOCUMENT = 128
BAR = 1.15
"""How many times plain's seconds ZeRO-3 may take at 2,048 tokens with the larger model."""
Step = Callable[[], float]


def plain_step(model: CWM, optimizer: torch.optim.Optimizer, batch: Batch) -> float:
    """Make a step without DeepSpeed; return its loss."""
    loss = model(batch.ids, batch.packing, batch.labels, batch.weights)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), OPTIMIZER.clip)
    optimizer.step()
    optimizer.zero_grad()
    return float(loss.detach())


def zero_step(engine: Any, batch: Batch) -> float:
    """Make a step of the engine; return its loss."""
    loss = engine(batch.ids, batch.packing, batch.labels, batch.weights)
    engine.backward(loss)
    engine.step()
    return float(loss.detach())


def plain(job: Job) -> tuple[CWM, torch.optim.Optimizer]:
    """Return the model that the job starts from, and its optimizer."""
    torch.manual_seed(job.settings.seed)
    model = CWM(job.config)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        LEARNING_RATE,
        betas=(OPTIMIZER.beta1, OPTIMIZER.beta2),
        eps=OPTIMIZER.epsilon,
        weight_decay=OPTIMIZER.weight_decay,
        fused=True,
    )
    return model, optimizer


def repeated(step: Step, times: int) -> Step:
    """Return a call that makes several steps, and returns the last one's loss."""

    def run() -> float:
        for _ in range(times - 1):
            step()
        return step()

    return run


def measure(name: str, rounds: int, folder: Path) -> list[list[str]]:
    """Measure one model at all sizes and return its rows of the table."""
    write_tokens(folder, MODELS[name], [DOCUMENT] * 200)
    make = partial(make_job, folder, MODELS[name], context_length=DOCUMENT, steps=1)
    jobs = {tokens: make(row_tokens=tokens, name=str(tokens)) for tokens in STEPS}
    job, parallel = jobs[min(jobs)], SequenceParallel(1, MODELS[name].kv_heads)
    checkpoints = Checkpoints(job.scratch)
    engine, state = open_engine(job, checkpoints, parallel, job.rows().fingerprint)
    model, optimizer = plain(job)
    table: list[list[str]] = []
    for tokens, times in STEPS.items():
        rows = jobs[tokens].rows()
        batch = read(rows.take(state.cursor, 1)[0], rows.files, parallel)
        steps: dict[str, Step] = {
            "plain": partial(plain_step, model, optimizer, batch),
            "ZeRO-3": partial(zero_step, engine, batch),
        }
        losses = [step() for step in steps.values()]
        if not table and abs(losses[0] - losses[1]) > 1e-5:  # later rounding has added up
            raise ValueError(f"plain and ZeRO-3 do not compute the same loss: {losses}")
        seconds = interleaved({n: repeated(s, times) for n, s in steps.items()}, rounds)
        found = ratio(seconds, "plain", "ZeRO-3")
        barred = (name, tokens) == ("5.5 M", 2048)
        verdict = f"≤ {BAR}: {'met' if found.median <= BAR else 'NOT met'}" if barred else ""
        each = [f"{min(seconds[n]) / times * 1000:.1f}" for n in steps]
        table.append([f"{name}, {tokens:,}", *each, str(found), verdict])
    return table


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS])
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    start_process()
    table = []
    for name in arguments.models:
        with tempfile.TemporaryDirectory() as folder:
            table += measure(name, arguments.rounds, Path(folder))
    print_table(
        "A step, CPU milliseconds",
        ["model, tokens", "plain AdamW", "ZeRO-3", "ZeRO-3 / plain", "bar"],
        table,
    )


if __name__ == "__main__":
    main()
