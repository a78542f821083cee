"""One training step on a row of 131,072 tokens, shared by two workers on CPUs.

    python -m benchmarks.long_context [--tokens 131072] [--workers 2] [--recompute full]

A model of `ModelSettings`'s width takes one step (forward, backward, AdamW under ZeRO-3) on one
document. Workers share it by sequence parallelism: each holds a part of the tokens, and in
attention some of the heads over all of them. Printed are each worker's seconds and its peak of
resident memory, with Python, torch and DeepSpeed in it: the bar is 4 GB at 131,072 tokens.

The one global layer takes most of the time, for its work grows with the square of the tokens: some
minutes in all on two cores.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import get_args

from benchmarks.measure import print_table  # first: one thread

import torch  # isort: skip
import torch.distributed as dist

from model.packing import Packing
from model.recompute import Recompute
from model.transformer import CWM, Block
from stages.training.batch import IGNORED, Batch
from stages.training.estimate import shape_config
from stages.training.settings import ModelSettings

BAR = 4e9
"""Bytes a worker may use at 131,072 tokens."""
BEFORE = 0.7e9
"""Bytes of it that do not grow with the tokens: Python, torch, DeepSpeed and the model."""


@dataclass(frozen=True)
class Cost:
    """What a worker saw."""

    loss: float
    """Of the whole row, in nats per token."""
    before: int
    """Peak of resident memory before the step, in bytes."""
    peak: int
    """The same after it."""
    seconds: dict[str, float]
    """Wall seconds by phase."""
    processor: float
    """Processor seconds of the step."""


def measure(workers: int, tokens: int, recompute: Recompute) -> list[Cost]:
    """Run one step in ``workers`` new processes and return what each saw."""
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(workers, mp_context=context) as pool,
    ):
        store = f"{folder}/store"
        calls = [
            pool.submit(_step, rank, workers, store, tokens, recompute) for rank in range(workers)
        ]
        return [call.result() for call in calls]


def _step(rank: int, workers: int, store: str, tokens: int, recompute: Recompute) -> Cost:
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": workers}
    os.environ |= {name: str(value) for name, value in names.items()}
    dist.init_process_group(
        "gloo", store=dist.FileStore(store, workers), rank=rank, world_size=workers
    )
    from cluster.deepspeed import all_sum, build, initialize, start_process, zero3_config
    from stages.training.sequence_parallel import SequenceParallel

    start_process()
    settings = ModelSettings()
    parallel = SequenceParallel(workers, settings.kv_heads)
    config = zero3_config(
        learning_rate=1e-3, betas=(0.9, 0.95), epsilon=1e-8, weight_decay=0.1, clip=1.0
    )
    shape = shape_config(
        settings, vocab_size=settings.vocab_size, context_length=tokens, rope_scaling=None
    )
    model = build(config, lambda: CWM(shape, parallel.attention, recompute=recompute), seed=0)
    engine = initialize(model, config, leaves=[Block])
    batch = parallel.shard(document(tokens, settings.vocab_size))
    before, began, used = _peak(), time.perf_counter(), time.process_time()
    loss = engine(batch.ids, batch.packing, batch.labels, batch.weights)
    forward = time.perf_counter()
    weight = float(batch.weights.sum())
    engine.backward(loss * (weight * workers / (tokens - 1)))
    backward = time.perf_counter()
    engine.step()
    end = time.perf_counter()
    return Cost(
        loss=all_sum([float(loss.detach()) * weight])[0] / (tokens - 1),
        before=before,
        peak=_peak(),
        seconds={
            "forward": forward - began,
            "backward": backward - forward,
            "optimizer": end - backward,
        },
        processor=time.process_time() - used,
    )


def document(tokens: int, vocabulary: int) -> Batch:
    """Return a row that is one document of random tokens."""
    ids = torch.randint(0, vocabulary, (tokens,), generator=torch.Generator().manual_seed(0))
    labels, weights = ids.roll(-1), torch.ones(tokens)
    labels[-1], weights[-1] = IGNORED, 0
    return Batch(ids, labels, weights, Packing.of([tokens]))


def _peak() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=131_072)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--recompute", choices=get_args(Recompute), default="full")
    given = parser.parse_args()
    rows = []
    for rank, cost in enumerate(measure(given.workers, given.tokens, given.recompute)):
        seconds = [f"{x:,.1f}" for x in (*cost.seconds.values(), cost.processor)]
        memory = [f"{x / 1e9:.2f}" for x in (cost.before, cost.peak)]
        verdict = "met" if cost.peak <= BAR else "NOT met"
        rows.append([rank, f"{cost.loss:.6f}", *seconds, *memory, f"≤ {BAR / 1e9:.0f}: {verdict}"])
    header = ["worker", "loss", "forward s", "backward s", "optimizer s", "processor s"]
    header += ["GB before", "GB at most", "bar"]
    print_table(f"A step of {given.tokens:,} tokens, recompute {given.recompute}", header, rows)


if __name__ == "__main__":
    main()
