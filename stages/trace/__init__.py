"""Trace: execute code in the sandbox and record, line by line, what it did.

corpus ─→ candidates ─→ function shards ────────┐
          generated programs ─→ program shards ─┼→ workers ─→ files ─→ selection ─→ train, heldout
          repositories ─→ repository shards ────┘                                   dropped, card.md

run.py         the stage
settings.py    what is traced, and where
candidates.py  the corpus's functions, a bounded choice of them
programs/      small generated programs: levels, and families with a difficulty
repository/    repositories' own tests
inputs/        inputs of functions: doctests, tests, guesses and more  (most in the sandbox)
worker.py      batches: what the sandbox is asked to do                (in the sandbox)
tracer/        the tracer: calls of functions as recordings            (in the sandbox)
batches.py     shards of functions and of programs, and the second look at what they made
rows.py        rows from recordings
episodes.py    long traces cut by function
redacted.py    traces without secrets
shards.py      what a shard is, and its files
workers.py     who makes shards: Ray actors, lost ones replaced
selection.py   which traces are kept, from digests alone
buckets.py     sorting more traces than memory holds
output.py      the artifact's tables
counts.py      statistics and the rows of the dropped table
card.py        the data card
renderings/    traces for reading: annotated source, prose, the neural debugger's sessions
own_code.py    one's own file, traced here or in the sandbox
own_run.py     how it is run                           (here, or in the sandbox)
__main__.py    ``python -m stages.trace FILE[:FUNCTION]``: the same, for reading
"""

from cluster.dag.stage import Stage
from stages.kinds import CORPUS, TRACES
from stages.trace.settings import TracePlacement, TraceSettings
from stages.trace.tracer import Recording, TraceLimits, trace_source

__all__ = ["STAGE", "Recording", "TraceLimits", "trace_source"]

STAGE = Stage(
    name="trace",
    revision=3,
    run="stages.trace.run:run",
    settings=TraceSettings,
    placement=TracePlacement,
    inputs={"corpus": (CORPUS,)},
    output=TRACES,
    snapshot="stages.trace.repository.snapshot:snapshot",
    bundles="stages.trace.settings:bundles",
    modules=(
        "cluster.sandbox",
        "model.comparison",
        "model.frames",
        "model.tokens",
        "model.trace",
        "stages.crawl.licences",
        "stages.redaction",
        "stages.tables",
    ),
    headline=("traces", "functions", "distributions"),
    executes_code=True,
)
