"""Forage: mutate-fix trajectories of a scripted agent on real functions.

A real function with passing doctests is mutated so that one of them fails; an agent with CWM's
tools reads it, runs the tests, edits and submits, all in the sandbox. What it did and saw is kept,
whether it fixed the function or not.

    documents → find.py → document.py (screen mutants, run episodes) → run.py (deduplicate, write)
    in the sandbox: worker.py, tools.py, and run_tests.py, which the agent runs
"""

from cluster.dag.stage import Stage
from stages.forage.settings import ForagePlacement, ForageSettings
from stages.kinds import CORPUS, TRAJECTORIES

STAGE = Stage(
    name="forage",
    revision=1,
    run="stages.forage.run:run",
    settings=ForageSettings,
    placement=ForagePlacement,
    inputs={"corpus": (CORPUS,)},
    output=TRAJECTORIES,
    bundles="stages.forage.settings:bundles",
    modules=(
        "cluster.sandbox",
        "model.chat",
        "model.tokens",
        "stages.curate.duplicates",
        "stages.curate.settings",
        "stages.tables",
    ),
    executes_code=True,
)
