"""Trace: execute code in the sandbox and record, line by line, what it did.

corpus ─→ candidates ─→ doctests ─┬────────────────┐
                           └→ mutate ─→ calls ─────┼→ rows ─→ select ─→ train, heldout, dropped
          programs (generated) ────────────────────┘

candidates.py  the corpus's functions that have doctests, a bounded choice of them
doctests.py    inputs that people wrote: the calls in the examples     (in the sandbox)
mutate.py      new literal arguments from old ones                     (in the sandbox)
programs.py    small generated programs, level by level                (in the sandbox)
tracer.py      the tracer: calls of functions as recordings            (in the sandbox)
engine.py      which engine follows the program                        (in the sandbox)
native/        the engine in C, built with the package                 (in the sandbox)
reference.py   the same in Python, by ``sys.settrace``                 (in the sandbox)
recording.py   a trace in the making, and its budgets                  (in the sandbox)
rendering.py   values as text, bounded                                 (in the sandbox)
arguments.py   a call's arguments as source                            (in the sandbox)
source.py      which lines a trace shows
worker.py      batches: what the sandbox is asked to do                (in the sandbox)
batches.py     what one sandbox is given at a time, and the second look at what it made
rows.py        rows, split, duplicates and the quota on exceptions
counts.py      statistics and the rows of the dropped table
run.py         the stage
own_code.py    ``python -m stages.trace``: one's own function, in this process
listing.py     and how it is shown
"""

from cluster.dag.stage import Stage
from stages.kinds import CORPUS, TRACES
from stages.trace.settings import TracePlacement, TraceSettings
from stages.trace.tracer import Recording, TraceLimits, trace_source

__all__ = ["STAGE", "Recording", "TraceLimits", "trace_source"]

STAGE = Stage(
    name="trace",
    revision=2,
    run="stages.trace.run:run",
    settings=TraceSettings,
    placement=TracePlacement,
    inputs={"corpus": (CORPUS,)},
    output=TRACES,
    bundles="stages.trace.settings:bundles",
    modules=(
        "cluster.sandbox",
        "model.comparison",
        "model.frames",
        "model.tokens",
        "model.trace",
        "stages.tables",
    ),
    headline=("traces", "functions", "distributions"),
    executes_code=True,
)
