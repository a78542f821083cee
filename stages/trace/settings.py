"""Settings of tracing, and where it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from stages.trace.inputs import METHODS
from stages.trace.inputs.llm_settings import LLMEndpoint, LLMSettings
from stages.trace.programs import FAMILIES, LEVELS
from stages.trace.repository.settings import RepositorySettings


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceSettings:
    """What is executed, how often, and the budgets of a trace.

    CWM traces over 120 M functions with inputs that are fuzzed or made by a language model, and the
    tests of 21,000 repositories; it drops what has more than 10,000 line events or 1 MB of text.
    Its limits on single values are not published.
    """

    # generated programs: how many of each level, and of each (family, difficulty from 0 to 1) (see
    # stages.trace.programs), before filters and duplicates
    program_levels: tuple[tuple[int, int], ...] = ((0, 24_000), (1, 2_000), (2, 1_500), (3, 500))
    program_families: tuple[tuple[str, float, int], ...] = ()
    # fraction of the program shapes, and of the repositories, that is held out
    heldout_fraction: float = 0.05

    # public functions of the corpus, those with doctests first: how many in all, and of one
    # distribution
    max_functions: int = 880
    max_functions_per_origin: int = 140
    # distributions with fewer such functions are not worth their import
    min_functions_per_origin: int = 10
    # characters of a function's source without docstrings; longer ones are not traced
    max_source_chars: int = 1_500
    # about so many functions (whole modules of one distribution) are a shard: what a worker does at
    # a time, and what is lost with it. No matter of placement: what was imported before it in the
    # same process is part of what a function sees
    functions_per_shard: int = 120
    # distributions whose imports cost more than their functions are worth, whose doctests start
    # clusters, or (sympy) whose work depends on the addresses of objects
    excluded_origins: tuple[str, ...] = ("narwhals", "ray", "sympy", "torch", "transformers")

    # how inputs are found: doctest (examples of the docstring), unittest (tests shipped with the
    # distribution), main (the module run as a program), harvest (literal calls anywhere in the
    # corpus), llm (needs ``llm.model``), mutation (literals near known ones), fuzz (guesses, for
    # what nothing else covers)
    input_methods: tuple[str, ...] = METHODS
    # what a language model is asked for inputs; without ``llm.model`` none is
    llm: LLMSettings = field(default_factory=LLMSettings)
    # different calls kept of one function and method, before selection
    calls_per_function: int = 4
    # mutations tried of each literal call, and guesses of each uncovered function
    mutations_per_call: int = 4
    fuzz_tries: int = 24
    # shipped test modules run for one module, and tests of each
    test_modules: int = 2
    tests_per_module: int = 60

    # repositories whose own tests are traced; named in a preset, not on the command line
    repositories: tuple[RepositorySettings, ...] = ()

    # traces longer than this many frames are cut into episodes, each of one function (0: none
    # are); how deep calls may be inside an episode, and with what probability each is kept there
    # instead of becoming an episode of its own. CWM cuts its repositories' traces so; its numbers
    # are not published
    episode_events: int = 0
    episode_depth: int = 3
    step_in: float = 0.5

    # traces with fewer line events teach nothing
    min_lines: int = 2
    # traces of one function that executed the same lines and ended alike (0: all). Of 3,500 traces
    # of 720 functions 4 drops a fifth, 2 near half, most of them mutations. Programs and pairs are
    # not thinned
    per_coverage: int = 4
    # largest fraction of function traces that may end in an exception
    exception_fraction: float = 0.2
    # keep traces that a second execution did not repeat ("deterministic" false), or whose program
    # meddled with tracing ("tampered" true). They need not be the same in another run: the promise
    # of equal digests does not hold with them
    keep_flagged: bool = False

    # budgets that end a kept trace: frames, bytes of text as the grammar would show it, characters
    # of one value
    events: int = 400
    bytes: int = 40_000
    value_chars: int = 80
    # calls of Python functions in one example or mutated call, stepped over or not; what makes more
    # is dropped
    calls: int = 20_000

    # containment, far beyond the budgets: what it kills goes to the dropped table, outside the
    # content. Seconds of CPU and wall time for one method of a function or one test (what ends just
    # within them on a quiet machine would not on a busy one: they are generous), bytes of address
    # space per process
    function_cpu_seconds: int = 10
    function_wall_seconds: float = 20.0
    memory_bytes: int = 4 << 30

    # seeds the programs, the mutations, the guesses, the choice of functions and the episodes
    seed: int = 0

    def __post_init__(self) -> None:
        """Check names and fractions, and that every count and budget can be met."""
        self._check_programs()
        if unknown := set(self.input_methods) - set(METHODS):
            raise ValueError(f"input_methods has {sorted(unknown)}: there are {METHODS}")
        for name in ("heldout_fraction", "exception_fraction"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: from 0 to below 1")
        if not 0 <= self.step_in <= 1:
            raise ValueError(f"step_in={self.step_in}: from 0 to 1")
        counts = ("max_functions", "min_functions_per_origin", "mutations_per_call", "fuzz_tries")
        more = ("test_modules", "min_lines", "per_coverage", "episode_events", "episode_depth")
        for name in (*counts, *more):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: 0 or more")
        budgets = ("max_functions_per_origin", "max_source_chars", "calls_per_function", "events")
        sizes = ("bytes", "calls", "function_cpu_seconds", "function_wall_seconds", "memory_bytes")
        for name in (*budgets, *sizes, "tests_per_module", "functions_per_shard"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)}: above 0")
        if self.value_chars < 10:
            raise ValueError(f"value_chars={self.value_chars}: 10 or more")
        names = [each.name for each in self.repositories]
        if len(names) > len(set(names)):
            raise ValueError(f"repositories have names twice: {sorted(names)}")

    def _check_programs(self) -> None:
        for level, count in self.program_levels:
            if level not in LEVELS or count < 0:
                raise ValueError(
                    f"program_levels has ({level}, {count}): a level from 0 to 4, a count from 0"
                )
        for family, difficulty, count in self.program_families:
            if family not in FAMILIES or not 0 <= difficulty <= 1 or count < 0:
                raise ValueError(
                    f"program_families has ({family!r}, {difficulty}, {count}): one of "
                    f"{sorted(FAMILIES)}, a difficulty from 0 to 1, a count from 0"
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class TracePlacement:
    """Where tracing runs; the traces are the same for any values."""

    # sandboxes that run at once, each in a Ray actor of its own when Ray runs
    workers: int = 2
    # CPUs that each of them asks Ray for
    cpus: float = 1.0
    # programs in a shard: what a worker does at a time, and what is lost with it
    programs_per_shard: int = 2_000
    # where the model of ``trace.llm`` is served
    llm: LLMEndpoint = field(default_factory=LLMEndpoint)

    def __post_init__(self) -> None:
        """Check that there is something to run on."""
        for name in ("workers", "cpus", "programs_per_shard"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)}: above 0")


def bundles(placement: TracePlacement, settings: TraceSettings) -> list[dict[str, float]]:
    """Return what the sandboxes' Ray actors reserve together."""
    return [{"CPU": placement.cpus}] * placement.workers
