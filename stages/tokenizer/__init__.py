"""Tokenizer: train a byte-level BPE on code and on rendered traces, and measure how well it packs.

It sees the training split only: a sample of a given number of bytes, chosen by hash, so that it
does not depend on the order of the rows. CWM's special tokens are the 256 ids after the vocabulary.
"""

from cluster.dag.stage import Stage
from stages.kinds import CORPUS, TOKENIZER, TRACES
from stages.tokenizer.settings import TokenizerSettings

STAGE = Stage(
    name="tokenizer",
    revision=1,
    run="stages.tokenizer.run:run",
    settings=TokenizerSettings,
    output=TOKENIZER,
    inputs={"corpus": (CORPUS,), "traces": (TRACES,)},
    modules=("model.tokens", "model.trace", "model.frames", "stages.tables"),
)
