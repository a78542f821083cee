"""Supervised fine-tuning: the model learns to answer in chats."""

from cluster.dag.stage import Stage
from stages.kinds import CHECKPOINT, TOKENIZER, TOKENS
from stages.sft.settings import SftSettings
from stages.training.settings import TrainingPlacement

STAGE = Stage(
    name="sft",
    revision=2,
    run="stages.sft.run:run",
    settings=SftSettings,
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
