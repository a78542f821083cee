"""Mid-training: the pre-trained model learns what code does when it runs."""

from cluster.dag.stage import Stage
from stages.kinds import CHECKPOINT, TOKENIZER, TOKENS
from stages.midtrain.settings import MidtrainSettings
from stages.training.settings import TrainingPlacement

STAGE = Stage(
    name="midtrain",
    revision=2,
    run="stages.midtrain.run:run",
    settings=MidtrainSettings,
    placement=TrainingPlacement,
    inputs={"checkpoint": (CHECKPOINT,), "tokenizer": (TOKENIZER,)},
    more=(TOKENS,),
    output=CHECKPOINT,
    bundles="stages.training.settings:bundles",
    estimate="stages.training.estimate:estimate",
    formulas="stages.training.estimate:formulas",
    modules=("stages.training", "cluster.deepspeed", "cluster.devices", "model"),
    headline=("tokens", "tokens_per_second", "validation_loss"),
    saves_when_stopped=True,
)
