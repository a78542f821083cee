"""Imported: an external checkpoint or tokenizer that stands in for one of this pipeline's own.

A folder in HF's layout becomes an artifact by hard links, or copies where those cannot be; what it
says of its origin and licence is recorded with the digests of its files. Only data is taken:
weights in safetensors, JSON, the tokenizer's files and texts; never an optimizer's state, which is
made of pickles, and those can run code.
"""

from cluster.dag.stage import Stage
from stages.imported.settings import (
    ImportedCheckpointSettings,
    ImportedTokenizerSettings,
    ImportPlacement,
)
from stages.kinds import CHECKPOINT, TOKENIZER

CHECKPOINT_STAGE = Stage(
    name="imported_checkpoint",
    revision=1,
    run="stages.imported.run:run_checkpoint",
    settings=ImportedCheckpointSettings,
    placement=ImportPlacement,
    output=CHECKPOINT,
    snapshot="stages.imported.folder:snapshot",
    estimate="stages.imported.folder:estimate",
    modules=("model.tokens",),
    headline=("origin", "licence", "tokens", "trained_by"),
    stands_in=True,
)

TOKENIZER_STAGE = Stage(
    name="imported_tokenizer",
    revision=1,
    run="stages.imported.run:run_tokenizer",
    settings=ImportedTokenizerSettings,
    placement=ImportPlacement,
    output=TOKENIZER,
    snapshot="stages.imported.folder:tokenizer_snapshot",
    modules=("model.tokens",),
    headline=("origin", "licence", "vocab_size"),
    stands_in=True,
)
