"""Pre-training: a model from random weights, on code."""

from cluster.dag.stage import Stage
from stages.kinds import CHECKPOINT, TOKENIZER, TOKENS
from stages.pretrain.settings import PretrainSettings
from stages.training.settings import TrainingPlacement

STAGE = Stage(
    name="pretrain",
    revision=2,
    run="stages.pretrain.run:run",
    settings=PretrainSettings,
    placement=TrainingPlacement,
    inputs={"tokenizer": (TOKENIZER,)},
    more=(TOKENS,),
    output=CHECKPOINT,
    bundles="stages.training.settings:bundles",
    estimate="stages.training.estimate:estimate",
    formulas="stages.training.estimate:formulas",
    modules=("stages.training", "cluster.deepspeed", "cluster.devices", "model"),
    headline=("tokens", "tokens_per_second", "validation_loss"),
    saves_when_stopped=True,
)
