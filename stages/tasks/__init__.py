"""Tasks: single-turn questions about code whose answers are settled by execution.

Three kinds, for supervised fine-tuning, reinforcement learning and evaluation alike: ``output``
(what does this call return), ``trace`` (write down what happens, frame by frame) and ``fix``
(rewrite the marked line so that the asserts hold).
"""

from cluster.dag.stage import Stage
from stages.kinds import TASKS, TRACES, TRAJECTORIES
from stages.tasks.settings import TaskSettings

STAGE = Stage(
    name="tasks",
    revision=1,
    run="stages.tasks.run:run",
    settings=TaskSettings,
    inputs={"traces": (TRACES,), "trajectories": (TRAJECTORIES,)},
    output=TASKS,
    modules=(
        "cluster.sandbox",
        "model.chat",
        "model.frames",
        "model.tokens",
        "model.trace",
        "stages.forage.edits",
        "stages.forage.mutations",
        "stages.tables",
    ),
    executes_code=True,
)
