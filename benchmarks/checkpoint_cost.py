"""What checkpoints cost at the default interval, a twentieth of a stage, and what a kill costs.

    python -m benchmarks.checkpoint_cost [--models tiny "5.5 M"]

Trains through `stages.training.loop.train`, with a checkpoint in every second of the intervals that
a stage of so many steps has, and prints, per checkpoint of one interval:

- the CPU seconds that it took (copying in the training thread, writing in another), and for which
  training waited, as shares of an interval's;
- how much longer the intervals with one took in CPU seconds than those without, with the range over
  neighbours: what threads take from one another is in it, and the machine's noise;
- what is lost at most to a kill: an interval and the time until the checkpoint lies on the disk, as
  a share of the stage.

Tokens are random, the optimizer is full, fp32, one thread; files go to the temporary directory.
Takes about two minutes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.measure import Ratio, print_table  # first: one thread
from benchmarks.training_jobs import LEARNING_RATE, MODELS, make_job, write_tokens
from stages.training.checkpoints import Checkpoints, Part
from stages.training.loop import train


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage, and how many of its twenty intervals are run."""

    tokens: int
    steps: int
    intervals: int

    @property
    def interval(self) -> int:
        """Steps between checkpoints."""
        return self.steps // 20


STAGES = {"tiny": Stage(256, 3000, 8), "5.5 M": Stage(2048, 600, 4)}
BAR = 0.02
"""Share of an interval that its checkpoint may add."""


@dataclass(slots=True)
class Marks:
    """A learning rate that notes when each interval begins: a step before its checkpoint."""

    interval: int
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    last: int = -1

    def __call__(self, step: int) -> float:
        """Return the learning rate."""
        if step > self.last and (step + 1) % self.interval == 0:
            self.last = step
            self.cpu.append(time.process_time())
            self.wall.append(time.perf_counter())
        return LEARNING_RATE


@dataclass(slots=True)
class Spent:
    """What checkpoints took."""

    cpu: list[float] = field(default_factory=list)
    """CPU seconds of each, of both threads."""
    waited: list[float] = field(default_factory=list)
    """Seconds for which training waited."""
    written: list[float] = field(default_factory=list)
    """Seconds from its beginning until the files are written."""


@dataclass(frozen=True, slots=True)
class TimedPart:
    """A file whose writing is timed."""

    part: Part
    spent: Spent
    number: int
    begun: float

    @property
    def size(self) -> int:
        """Bytes."""
        return self.part.size

    def write(self, file: Path) -> None:
        """Write it."""
        started = time.thread_time()
        self.part.write(file)
        self.spent.cpu[self.number] += time.thread_time() - started
        self.spent.written[self.number] = time.perf_counter() - self.begun


class Timed(Checkpoints):
    """Checkpoints that note what they take."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.spent = Spent()
        self._begun: tuple[float, float] | None = None

    def wait(self) -> None:
        """Wait for the last one: the first thing that saving does, before it copies."""
        self._begun = self._begun or (time.thread_time(), time.perf_counter())
        super().wait()

    def save(self, step: int, parts: Mapping[str, Part], facts: Mapping[str, Any]) -> None:
        """Begin to write one."""
        assert self._begun is not None
        (cpu, wall), spent, number = self._begun, self.spent, len(self.spent.cpu)
        for values in (spent.cpu, spent.waited, spent.written):
            values.append(0.0)
        timed = {name: TimedPart(part, spent, number, wall) for name, part in parts.items()}
        super().save(step, timed, facts)
        spent.cpu[number] += time.thread_time() - cpu
        spent.waited[number] += time.perf_counter() - wall
        self._begun = None


def measure(name: str, folder: Path) -> list[str]:
    """Train a part of a stage and return its row of the table."""
    stage = STAGES[name]
    write_tokens(folder, MODELS[name], [stage.tokens] * 1000)
    marks = Marks(stage.interval)
    steps = (stage.intervals + 2) * stage.interval
    job = make_job(folder, MODELS[name], context_length=stage.tokens, steps=steps, schedule=marks)
    placement = replace(job.placement, checkpoint_every=2 * stage.interval, log_every=25)
    checkpoints = Timed(job.scratch)
    train(replace(job, placement=placement), checkpoints)
    # interval 0 begins a step before the first one's end, where no checkpoint is made; 1 has one
    cpu = [b - a for a, b in zip(marks.cpu, marks.cpu[1:], strict=False)]
    wall = [b - a for a, b in zip(marks.wall, marks.wall[1:], strict=False)]
    plain, plain_wall = statistics.median(cpu[::2]), statistics.median(wall[::2])
    spent = checkpoints.spent  # the last one is the stage's end
    pairs = [b / a for a, b in zip(cpu[::2], cpu[1::2], strict=False)]
    longer = Ratio(statistics.median(pairs), min(pairs), max(pairs))
    share = statistics.median(spent.cpu[:-1]) / plain
    lost = (1 + statistics.median(spent.written[:-1]) / plain_wall) / 20
    return [
        f"{name}: {stage.steps:,} × {stage.tokens:,}",
        f"{statistics.median(spent.cpu[:-1]) * 1000:.0f} ms of {plain:.1f} s",
        f"{share:.2%}, ≤ {BAR:.0%}: {'met' if share <= BAR else 'NOT met'}",
        f"{statistics.median(spent.waited[:-1]) / plain_wall:.2%}",
        str(longer),
        f"{lost:.1%}",
    ]


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=STAGES, default=[*STAGES])
    arguments = parser.parse_args()
    table = []
    for name in arguments.models:
        with tempfile.TemporaryDirectory() as folder:
            table.append(measure(name, Path(folder)))
    print_table(
        "A checkpoint per interval of a twentieth of a stage",
        [
            "stage: steps × tokens",
            "CPU seconds",
            "share",
            "training waits",
            "with / without",
            "lost to a kill at most",
        ],
        table,
    )


if __name__ == "__main__":
    main()
