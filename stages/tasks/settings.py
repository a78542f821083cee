"""Settings of the tasks: how many of each kind, and how long they may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskSettings:
    """How many tasks to make. Held-out tasks come from held-out traces and trajectories only."""

    # most training tasks of each kind
    output_tasks: int = 3_000
    trace_tasks: int = 2_000
    fix_tasks: int = 2_000
    # most held-out tasks of each kind
    heldout_tasks: int = 400
    # most tasks of each kind that come from real functions, as a fraction; the rest are generated
    # programs
    function_fraction: float = 0.25
    # longest source text, characters (a token is about 2.5 of them at the tiny scale)
    max_context_chars: int = 400
    # longest argument list and answer, characters
    max_value_chars: int = 60
    # most frames of a trace to be written
    max_frames: int = 12
    # ask about a function only what running its source alone tells: one that uses the rest of its
    # module returns what nobody can know who sees just the function
    self_contained: bool = False
    # tests of a fix task that its prompt shows, and that only the judge knows
    visible_tests: int = 3
    hidden_tests: int = 3
    # mutants tried per function before it is given up
    mutants: int = 4
    # chooses tasks, argument values and mutants
    seed: int = 0

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("output_tasks", "trace_tasks", "fix_tasks", "heldout_tasks"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: 0 or more is needed")
        for name in ("visible_tests", "hidden_tests", "mutants", "max_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: 1 or more is needed")
        if not 0 <= self.function_fraction <= 1:
            raise ValueError(f"function_fraction={self.function_fraction}: 0 to 1 is needed")
