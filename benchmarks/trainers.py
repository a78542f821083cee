"""Training loops in processes of their own that take turns: ours, and transformers' Trainer.

Every `TURN` steps a loop says on its standard output how many processor seconds they took, and
waits for a line on its standard input; its last line holds the losses. Both keep freed memory
(`cluster.deepspeed.process.start_process`), and have the same DeepSpeed configuration.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported

import torch
import torch.distributed as dist

from benchmarks.training_jobs import LEARNING_RATE, MODELS, OPTIMIZER, make_job
from cluster.dag.metrics import read_metrics
from cluster.deepspeed import start_process, zero3_config
from stages.training.batch import build_batch
from stages.training.checkpoints import Checkpoints
from stages.training.job import Job
from stages.training.loop import train
from stages.training.rows import Cursor

TURN = 5
"""Steps between two waits, and between two losses."""


@dataclass(slots=True)
class Turns:
    """Told of every step's beginning, it waits before the first of each turn.

    Is a learning rate too (`stages.training.schedule.Schedule`): our loop asks for it there.
    """

    out: TextIO
    next_step: int = 0
    started: float = 0.0

    def __call__(self, step: int) -> float:
        """Return the learning rate; report and wait if ``step`` begins a turn."""
        if step >= self.next_step and step % TURN == 0 and self.started:
            self.say({"seconds": time.process_time() - self.started})
            sys.stdin.readline()
            self.next_step = step + TURN
            self.started = time.process_time()
        return LEARNING_RATE

    def say(self, what: dict[str, Any]) -> None:
        """Tell the parent."""
        print(json.dumps(what), file=self.out, flush=True)


class Loop:
    """A training loop as its parent sees it: a process per rank, a row per rank and step."""

    def __init__(
        self,
        loop: Literal["ours", "hf"],
        model: str,
        folder: Path,
        *,
        workers: int,
        steps: int,
        context_length: int,
        row_tokens: int,
    ) -> None:
        name = f"{loop}{workers}"
        command = [sys.executable, "-m", "benchmarks.trainers", loop, model, str(folder), name]
        self.ranks = []
        for rank in range(workers):
            world = {"WORLD_SIZE": str(workers), "RANK": str(rank), "LOCAL_RANK": str(rank)}
            # asked for by accelerate; the process group is there before
            world |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
            with (folder / f"{name}.{rank}.log").open("w") as log:
                self.ranks.append(
                    subprocess.Popen(
                        [*command, *map(str, (steps, context_length, row_tokens))],
                        env={**os.environ, **world},
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=log,
                        text=True,
                    )
                )
        self.log = folder / f"{name}.0.log"
        self._answers("seconds")  # ready

    def turn(self) -> float:
        """Make the next steps; return the CPU seconds of all ranks."""
        self._go()
        return float(sum(self._answers("seconds")))

    def losses(self) -> list[float]:
        """Make the last turn; return the losses of all."""
        self._go()
        found: list[float] = self._answers("losses")[0]
        return found

    def end(self) -> None:
        """End what still runs."""
        for rank in self.ranks:
            rank.kill()
            rank.communicate()

    def _go(self) -> None:
        for rank in self.ranks:
            assert rank.stdin is not None
            rank.stdin.write("\n")
            rank.stdin.flush()

    def _answers(self, name: str) -> list[Any]:
        answers = []
        for rank in self.ranks:
            assert rank.stdout is not None
            if not (line := rank.stdout.readline()):
                raise RuntimeError(f"a training loop ended early: {self.log.read_text()[-2000:]}")
            answers.append(json.loads(line)[name])
        return answers


def train_ours(job: Job, turns: Turns) -> list[float]:
    """Run `stages.training.loop.train`; return its losses."""
    turns.started = time.process_time()
    train(job, Checkpoints(job.scratch))
    lines = [line["metrics"] for line in read_metrics(job.metrics_file)]
    return [line["loss"] for line in lines if "loss" in line]


class Rows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """The job's rows as `CwmForCausalLM` takes them: positions that restart tell documents apart,
    and a document's first token is nothing to be predicted."""

    def __init__(self, job: Job) -> None:
        rows = job.rows()
        self.files = rows.files
        count = job.settings.steps * job.settings.rows_per_step
        self.taken = rows.take(Cursor(), count)[0]

    def __len__(self) -> int:
        return len(self.taken)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        batch = build_batch([self.taken[index]], self.files, torch.device("cpu"))
        labels = batch.ids.clone()
        labels[batch.packing.cu_seqlens[:-1].long()] = -100
        item = {"input_ids": batch.ids, "labels": labels}
        if len(batch.packing.lengths) > 1:
            item["position_ids"] = batch.packing.positions
        return item


def train_hf(job: Job, turns: Turns, weights: Path) -> list[float]:
    """Run transformers' Trainer on the same weights and rows; return its losses."""
    from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

    class Waits(TrainerCallback):
        def on_step_begin(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
            turns(state.global_step)

    class InOrder(Trainer):
        def _get_train_sampler(self, *_: Any) -> torch.utils.data.Sampler[int]:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    arguments = TrainingArguments(
        str(job.output / "hf"),
        deepspeed=deepspeed_configuration(job),
        per_device_train_batch_size=1,
        max_steps=job.settings.steps,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        weight_decay=OPTIMIZER.weight_decay,
        adam_beta2=OPTIMIZER.beta2,
        max_grad_norm=OPTIMIZER.clip,
        logging_steps=TURN,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    # made after the arguments, so that it is sharded as it is read
    model = AutoModelForCausalLM.from_pretrained(weights, attn_implementation="sdpa")
    model.config.use_cache = False  # with a cache it would ignore where documents begin
    trainer = InOrder(model, arguments, train_dataset=Rows(job), callbacks=[Waits()])
    turns.started = time.process_time()
    trainer.train()
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]


def deepspeed_configuration(job: Job) -> dict[str, Any]:
    """Return that of our stage, as the Trainer takes it."""
    config = zero3_config(
        learning_rate=LEARNING_RATE,
        betas=(OPTIMIZER.beta1, OPTIMIZER.beta2),
        epsilon=OPTIMIZER.epsilon,
        weight_decay=OPTIMIZER.weight_decay,
        clip=OPTIMIZER.clip,
    )
    config["zero_optimization"]["reduce_bucket_size"] = 10_000_000  # of more than the model has
    return config


def main() -> None:
    """Train as one rank of the loop that the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("loop", choices=("ours", "hf"))
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("folder", type=Path, help="what `write_tokens` left, and weights")
    parser.add_argument("name", help="of this run in the folder")
    for name in ("steps", "context_length", "row_tokens"):
        parser.add_argument(name, type=int)
    given = parser.parse_args()
    turns = Turns(os.fdopen(os.dup(1), "w"))
    os.dup2(2, 1)  # what libraries print must not come between the answers
    world, rank = int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"])
    store = dist.FileStore(str(given.folder / f"{given.name}.store"), world)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=world)
    start_process()
    job = make_job(
        given.folder,
        MODELS[given.model],
        context_length=given.context_length,
        row_tokens=given.row_tokens,
        rows_per_step=world,
        steps=given.steps,
        schedule=turns,
        name=given.name,
    )
    weights = given.folder / "weights"
    losses = train_ours(job, turns) if given.loop == "ours" else train_hf(job, turns, weights)
    turns.say({"losses": losses})


if __name__ == "__main__":
    main()
