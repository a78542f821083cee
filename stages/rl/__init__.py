"""RL: CWM's GRPO variant on tasks that are scored by execution.

Rollout workers sample groups of answers, run them in a sandbox and send trajectories one way; a
ZeRO-3 trainer turns them into gradients and sends versioned weights the other way::

    curriculum -> RolloutPool (Ray actors: generator, environment, sandbox) -> trajectories
         ^                    ^                                                  |
         | solve rates        | WeightTransport, versions                        v
         +------------------- trainer (ZeRO-3, Ray Train) <- objective <- filters, batches

The same code runs in one process without Ray when ``placement.workers`` is 0.
"""

from cluster.dag.stage import Stage
from stages.kinds import CHECKPOINT, TASKS
from stages.rl.settings import RLPlacement, RLSettings

STAGE = Stage(
    name="rl",
    revision=1,
    run="stages.rl.run:run",
    settings=RLSettings,
    placement=RLPlacement,
    inputs={"checkpoint": (CHECKPOINT,), "tasks": (TASKS,)},
    output=CHECKPOINT,
    bundles="stages.rl.settings:bundles",
    modules=(
        "cluster.deepspeed",
        "cluster.devices",
        "cluster.sandbox",
        "model",
        "stages.forage.edits",
        "stages.forage.mutations",
        "stages.tables",
        "stages.tasks",
        "stages.training.checkpoints",
        "stages.training.ray_train",
        "stages.training.sequence_parallel",
        "stages.training.world",
    ),
    executes_code=True,
    deterministic=False,  # only at max_staleness 0
)
