"""What ``--plan`` estimates of memory, disk, FLOPs and time, beside real training runs.

    python -m benchmarks.estimates [--steps 3]

A run is a training job of 11 million parameters on 2,048 tokens a step, on a CPU: data, DeepSpeed,
steps, a checkpoint after each, export. Memory is compared twice. "Tensors" is the most that tensors
held at a time, by torch's profiler: what a GPU's allocator would have to have. "Resident" is by how
much the process grew: its heap keeps what is freed, and nothing here estimates how much. The copy
of a checkpoint, which would be in the node's memory, counts for both.

FLOPs are those of products with a parameter, as torch counts them in a step. (Of attention it
counts pairs that the mask hides; tests.stages.training.test_throughput accounts for them.) Seconds
follow from the rate of matrix products, measured here, and the plan's default utilisation.

Prints measured figures and what the estimate is of them. Takes about three minutes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.measure import extra_memory, print_table  # first: one thread

import torch  # isort: skip
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.training_jobs import make_job, shape_of, write_tokens
from model.config import layer_parameters
from model.packing import Packing
from model.transformer import CWM
from stages.training.checkpoints import FOLDER, Checkpoints
from stages.training.estimate import CHECKPOINT_BYTES, estimate
from stages.training.job import Job
from stages.training.settings import DeviceSettings, ModelSettings, TrainingPlacement
from stages.training.throughput import gemm_flops_per_second

MODEL = ModelSettings(
    hidden_size=256,
    intermediate_size=896,
    layers=8,
    heads=8,
    kv_heads=2,
    head_dim=32,
    sliding_window=256,
    vocab_size=8192,
)
SMALL = ModelSettings(vocab_size=8192)
CONTEXT, ROW = 256, 2_048
KEPT = 2
CASES = (("none", "float32"), ("selective", "float32"), ("full", "float32"), ("none", "bfloat16"))
"""What is recomputed, and the precision."""


def job_of(
    folder: Path, recompute: Any, precision: Any, steps: int, model: ModelSettings = MODEL
) -> Job:
    """Return a job with a checkpoint after every step, of which `KEPT` stay."""
    folder.mkdir()
    write_tokens(folder, model, [CONTEXT] * 64)
    placement = TrainingPlacement(
        workers=0, recompute=recompute, checkpoint_every=1, keep_checkpoints=KEPT, samples=0
    )
    job = make_job(
        folder, model, context_length=CONTEXT, row_tokens=ROW, steps=steps, placement=placement
    )
    return replace(job, settings=replace(job.settings, precision=precision))


def run(job: Job) -> None:
    """Train in this process."""
    from stages.training.loop import train  # imports DeepSpeed

    train(job, Checkpoints(job.scratch / FOLDER, keep=KEPT))


def resident(recompute: str, precision: str, steps: int) -> Iterator[None]:
    """Train; what is imported and made once was made for a smaller model."""
    with tempfile.TemporaryDirectory() as name:
        run(job_of(Path(name) / "small", recompute, precision, 1, SMALL))
        job = job_of(Path(name) / "job", recompute, precision, steps)
        yield
        run(job)


def traced(recompute: str, precision: str, steps: int, sender: Any) -> None:
    """Train; send the most bytes that tensors held at a time, and those on disk at the end."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        job = job_of(Path(name) / "job", recompute, precision, steps)
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
            run(job)
        assert found.profiler is not None
        events = found.profiler.kineto_results.events()
        changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
        sender.send(
            {
                "tensors": max(itertools.accumulate(change for _, change in changes)),
                "checkpoints": size_of(job.scratch / FOLDER),
                "export": size_of(job.output, "*.safetensors"),
            }
        )


def size_of(folder: Path, names: str = "*") -> int:
    """Return the bytes of all files of such names below a folder."""
    return sum(file.stat().st_size for file in folder.rglob(names) if file.is_file())


def measure(recompute: str, precision: str, steps: int) -> dict[str, int]:
    """Return what `traced` found in a fresh process, and by how much another grew."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=traced, args=(recompute, precision, steps, sender))
    process.start()
    sender.close()
    found: dict[str, int] = receiver.recv()
    process.join()
    return {**found, "resident": extra_memory(resident, recompute, precision, steps)}


def expected(recompute: str, precision: str, steps: int) -> dict[str, float]:
    """Return the estimate in the words of `measure`."""
    with tempfile.TemporaryDirectory() as name:
        job = job_of(Path(name) / "job", recompute, precision, steps)
        found = estimate(job.settings, job.placement)
    memory = found["memory per GPU bytes"] + found["host memory bytes"]
    return {
        "tensors": memory,
        "resident": memory,
        # at the end none is being written
        "checkpoints": KEPT * CHECKPOINT_BYTES * found["parameters"],
        "export": found["export bytes"],
    }


def linear_flops(x: Any, weight: Any, *_: Any, **__: Any) -> int:
    """Return the FLOPs of oneDNN's product, of which torch has no count, from shapes."""
    return 2 * int(torch.Size(x).numel()) * int(weight[0])


def products() -> list[str]:
    """Return the row of a step's FLOPs."""
    config = shape_of(MODEL, CONTEXT)
    ids, packing = torch.zeros(ROW, dtype=torch.int64), Packing.of([CONTEXT] * (ROW // CONTEXT))
    operators = {torch.ops.mkldnn._linear_pointwise: linear_flops}
    with FlopCounterMode(display=False, custom_mapping=operators) as counted:
        CWM(config)(ids, packing, ids).backward()
    flops = counted.get_flop_counts()["Global"].items()
    found = sum(count for operator, count in flops if "attention" not in str(operator))
    parameters = config.num_hidden_layers * layer_parameters(config)
    parameters += config.vocab_size * config.hidden_size
    by_formula = 6 * ROW * parameters
    return ["products with parameters", f"{found / 1e9:.2f} GFLOP", f"{by_formula / found:.3f}"]


def seconds(steps: int) -> list[str]:
    """Return the row of a step's seconds, without what lies between steps."""
    with tempfile.TemporaryDirectory() as name:
        job = job_of(Path(name) / "job", "none", "float32", steps)
        run(job)
        lines = [json.loads(line) for line in job.metrics_file.read_text().splitlines()]
        last = [x["metrics"] for x in lines if "tokens_per_second" in x["metrics"]][-1]
        rate = gemm_flops_per_second(torch.device("cpu"), torch.float32)
        device = DeviceSettings(flops_per_second=rate)
        found = estimate(job.settings, replace(job.placement, device=device))
    took = ROW / last["tokens_per_second"]
    return [
        f"a step, at {rate / 1e9:.0f} GFLOP/s and {device.utilisation:.0%} of it",
        f"{took:.2f} s ({last['mfu']:.0%} of it)",
        f"{found['step seconds'] / took:.2f}",
    ]


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=3)
    steps = parser.parse_args().steps
    rows = [products(), seconds(steps)]
    for case in CASES:
        found, by_formula = measure(*case, steps), expected(*case, steps)
        for name in ("tensors", "resident", "checkpoints", "export"):
            label = f"{name}, {case[1]}, recompute {case[0]}"
            ratio = f"{by_formula[name] / found[name]:.2f}"
            rows.append([label, f"{found[name] / 1e6:.1f} MB", ratio])
    print_table("Estimates beside training runs", ["what", "measured", "estimate / measured"], rows)


if __name__ == "__main__":
    main()
