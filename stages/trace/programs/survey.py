"""What the programs of a family are like: how long, how they end, how many are alike."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from stages.trace.programs import FRAMES, Program, draw, keeps, shape
from stages.trace.tracer import trace_source
from stages.trace.tracer.recording import Recording, TraceLimits

LIMITS = TraceLimits(events=FRAMES, bytes=40_000, value_chars=80)
"""The stage's default budgets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """Means and shares over some programs of one family and difficulty."""

    programs: int
    lines: float
    """Of source, on average."""
    frames: float
    """On average."""
    most_frames: int
    kept: float
    """Share that ends as its family wants it, with small values."""
    alike: float
    """Share that another program before it equals, whatever its names (see `shape`)."""
    outcomes: Counter[str]


def survey(family: str, difficulty: float, count: int, seed: int = 0) -> Survey:
    """Draw ``count`` programs, one or more, and trace them in this process."""
    if count < 1:
        raise ValueError(f"count={count}: 1 or more")
    lines = kept = 0
    frames = []
    outcomes = Counter[str]()
    shapes = set()
    for index in range(count):
        program = draw(seed, family, difficulty, index)
        recording = record(program)
        outcomes[recording.outcome] += 1
        rows = recording.frames
        lines += program.source.count("\n")
        frames.append(len(rows))
        kept += keeps(family, recording.outcome, rows)
        shapes.add(shape(program.source))
    return Survey(
        programs=count,
        lines=lines / count,
        frames=sum(frames) / count,
        most_frames=max(frames),
        kept=kept / count,
        alike=1 - len(shapes) / count,
        outcomes=outcomes,
    )


def record(program: Program) -> Recording:
    """Trace one generated program in this process, within the stage's default budgets."""
    return trace_source(program.source, program.entry, program.arguments, LIMITS)
