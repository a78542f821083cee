"""Settings of tracing, and where it runs."""

from __future__ import annotations

from dataclasses import dataclass

from stages.trace.programs import LEVELS


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceSettings:
    """What is executed, how often, and the budgets of a trace.

    CWM traces over 120 M functions with fuzzed inputs and drops what has more than 10,000 line
    events or 1 MB of text; its limits on single values are not published.
    """

    # generated programs: how many of each level (see stages.trace.programs), before filters and
    # duplicates
    program_levels: tuple[tuple[int, int], ...] = ((0, 24_000), (1, 2_000), (2, 1_500), (3, 500))
    # fraction of the program shapes that is held out
    heldout_fraction: float = 0.05

    # functions with doctests: how many in all, and of one distribution
    max_functions: int = 880
    max_functions_per_origin: int = 140
    # distributions with fewer such functions are not worth their import
    min_functions_per_origin: int = 10
    # characters of a function's source without docstrings; longer ones are not traced
    max_source_chars: int = 1_500
    # distributions whose imports cost more than their doctests are worth, whose doctests start
    # clusters, or (sympy) whose work depends on the addresses of objects
    excluded_origins: tuple[str, ...] = ("narwhals", "ray", "sympy", "torch", "transformers")
    # different calls of one function that are kept, and mutations tried of each literal one
    calls_per_function: int = 4
    mutations_per_call: int = 4
    # traces with fewer line events teach nothing
    min_lines: int = 2
    # largest fraction of function traces that may end in an exception
    exception_fraction: float = 0.2

    # budgets that end a kept trace: frames, bytes of text as the grammar would show it, characters
    # of one value
    events: int = 400
    bytes: int = 40_000
    value_chars: int = 80
    # calls of Python functions in one example or mutated call, stepped over or not; what makes more
    # is dropped
    calls: int = 20_000

    # containment, far beyond the budgets: what it kills goes to the dropped table, outside the
    # content. Seconds of CPU and wall time per function, bytes of address space per process
    function_cpu_seconds: int = 10
    function_wall_seconds: float = 20.0
    memory_bytes: int = 4 << 30

    # seeds the programs, the mutations and the choice of functions
    seed: int = 0

    def __post_init__(self) -> None:
        """Check levels, fractions and that every count and budget can be met."""
        for level, count in self.program_levels:
            if level not in LEVELS or count < 0:
                raise ValueError(
                    f"program_levels has ({level}, {count}): a level from 0 to 4, a count from 0"
                )
        for name in ("heldout_fraction", "exception_fraction"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise ValueError(f"{name}={value}: from 0 to below 1")
        for name in (
            "max_functions",
            "min_functions_per_origin",
            "mutations_per_call",
            "min_lines",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: 0 or more")
        budgets = ("max_functions_per_origin", "max_source_chars", "calls_per_function", "events")
        more = ("bytes", "calls", "function_cpu_seconds", "function_wall_seconds", "memory_bytes")
        for name in (*budgets, *more):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)}: above 0")
        if self.value_chars < 10:
            raise ValueError(f"value_chars={self.value_chars}: 10 or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class TracePlacement:
    """Where tracing runs; the traces are the same for any values."""

    # sandboxes that run at once, each in a Ray task of its own when Ray runs
    workers: int = 2
    # CPUs that each of them asks Ray for
    cpus: float = 1.0
    # traced in one task
    functions_per_task: int = 120
    programs_per_task: int = 4_000

    def __post_init__(self) -> None:
        """Check that there is something to run on."""
        for name in ("workers", "cpus", "functions_per_task", "programs_per_task"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)}: above 0")


def bundles(placement: TracePlacement, settings: TraceSettings) -> list[dict[str, float]]:
    """Return what the sandboxes' Ray tasks reserve together."""
    return [{"CPU": placement.cpus}] * placement.workers
