"""One training worker against two, at equal wall time: which learns more at the tiny scale?

    python -m benchmarks.tiny_workers --seconds 20

Both train the tiny model on the same small programs with their values written out. First each
arrangement is timed; then each makes as many steps as fit into the given seconds, with the whole
learning-rate schedule in them. Start-up (Ray Train, imports) is left out for both. Prints the
ratio of tokens per second and the loss on held-out programs. Takes about two minutes.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from stages.pretrain.settings import PretrainSettings
from stages.training.estimate import shape_config
from stages.training.job import RESULT, Job
from stages.training.schedule import CosineSchedule
from stages.training.settings import MixEntry, ModelSettings, ScheduleSettings, TrainingPlacement
from stages.training.token_file import FULL_LOSS, TokenWriter

BYTES = 256
"""Documents are bytes here; the embedding has room for the special tokens after them."""


def program(random: random.Random) -> str:
    """Return a few assignments and additions, with the value of each line behind it."""
    values: dict[str, int] = {}
    lines = []
    for name in "abcd":
        if values and random.random() < 0.7:
            other, added = random.choice(sorted(values)), random.randrange(10)
            values[name] = values[other] + added
            lines.append(f"{name} = {other} + {added}  # {values[name]}")
        else:
            values[name] = random.randrange(10)
            lines.append(f"{name} = {values[name]}")
    return "\n".join(lines) + "\n"


def write(folder: Path, documents: int, seed: int) -> None:
    """Write a token file of programs."""
    source, writer = random.Random(seed), TokenWriter(folder)
    for number in range(documents):
        ids = list(program(source).encode())
        writer.add(ids, [FULL_LOSS] * len(ids), str(number))
    writer.close({"rendering": "bytes", "vocab_size": 2 * BYTES})


def run(folder: Path, workers: int, steps: int, name: str) -> dict[str, Any]:
    """Train ``steps`` steps with this many workers, one row of 256 tokens each; return the
    result."""
    from stages.training.worker import run_job

    settings = PretrainSettings(
        model=ModelSettings(vocab_size=2 * BYTES),
        mix=(MixEntry(dataset="programs", weight=1),),
        steps=steps,
        rows_per_step=workers,
    )
    schedule = ScheduleSettings(
        warmup_steps=max(1, steps // 20), horizon_tokens=steps * settings.tokens_per_step
    )
    job = Job(
        name=name,
        config=shape_config(
            settings.model, vocab_size=2 * BYTES, context_length=256, rope_scaling=None
        ),
        settings=replace(settings, schedule=schedule),
        placement=TrainingPlacement(workers=workers, checkpoint_every=10**9),
        schedule=CosineSchedule(schedule, settings.tokens_per_step),
        tokens={"programs": folder / "programs"},
        tokenizer=folder,
        output=folder / name,
        scratch=folder / name / "scratch",
        metrics_file=folder / name / "metrics.jsonl",
    )
    run_job(job)
    result: dict[str, Any] = json.loads((job.scratch / RESULT).read_text())
    return result


def main() -> None:
    """Run both arrangements and print what they reached."""
    import ray

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="training time of each")
    arguments = parser.parse_args()
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    reached = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder / "programs", 20_000, seed=0)
        write(folder / "programs" / "heldout", 200, seed=1)
        for workers in (1, 2):
            timed = run(folder, workers, 100, f"timed{workers}")
            steps = int(100 * arguments.seconds / timed["training_seconds"])
            result = reached[workers] = run(folder, workers, steps, f"workers{workers}")
            print(
                f"{workers} worker(s): {steps} steps in {result['training_seconds']:.1f} s, "
                f"{result['tokens_per_second']:,.0f} tokens/s, "
                f"held-out loss {result['validation_loss']:.4f}",
                flush=True,
            )
    ray.shutdown()
    rate = reached[2]["tokens_per_second"] / reached[1]["tokens_per_second"]
    losses = {workers: result["validation_loss"] for workers, result in reached.items()}
    better = min(losses, key=lambda workers: losses[workers])
    print(f"two workers / one worker: {rate:.2f} x the tokens per second")
    print(f"less held-out loss in equal time: {better} worker(s)")


if __name__ == "__main__":
    main()
