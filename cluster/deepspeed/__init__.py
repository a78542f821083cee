"""DeepSpeed ZeRO-3 on CPUs and GPUs: the configuration, construction, checkpoints and export.

Import this package only in the process that trains: importing DeepSpeed takes seconds, and it
patches torch.

The life of a model here::

    start_process()                        # process group; adopts the one Ray Train made
    model = build(config, lambda: CWM(…))  # shards from birth: a 32 B model never exists whole
    load_weights(model, tensors)           # one parameter at a time
    engine = initialize(model, config, leaves=[Block])
    …train…
    for name, tensor in gathered(model):   # whole, one parameter at a time
"""

from cluster.deepspeed.process import all_sum, start_process  # isort: skip  (before DeepSpeed)
from cluster.deepspeed.config import LARGEST_BUCKET, zero3_config
from cluster.deepspeed.errors import ShardError
from cluster.deepspeed.guard import decide_steps
from cluster.deepspeed.model import (
    build,
    gather,
    gathered,
    initialize,
    load_weights,
    set_learning_rate,
)
from cluster.deepspeed.snapshot import restore, snapshot
from cluster.deepspeed.universal import loadable, to_universal, world_size_of

__all__ = [
    "LARGEST_BUCKET",
    "ShardError",
    "all_sum",
    "build",
    "decide_steps",
    "gather",
    "gathered",
    "initialize",
    "load_weights",
    "loadable",
    "restore",
    "set_learning_rate",
    "snapshot",
    "start_process",
    "to_universal",
    "world_size_of",
    "zero3_config",
]
