"""Learning rate and batch size by the paper's scaling law (§4.3), and where it does not hold.

LR(C) = 19.29 C^-0.177 and BS(C) = 30.17 C^0.231 tokens, for C = M D FLOPs of training: D tokens
at M = 6 N_ne + 6 d L S each (N_ne parameters but the embeddings', d width, L layers, S context).
Fitted to searches at eight sizes of C between 2e18 and 2e20, with D / M held at 40, on the
configurations within 1 % of the best validation loss; around them the optimum is broad.

python -m stages.training.scaling_law --flops 1e19
python -m stages.training.scaling_law --tokens 2e9 --model.hidden-size 768 --model.layers 12 ...
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import tyro

from model.config import CWMConfig, layer_parameters
from stages.training.estimate import shape_config
from stages.training.settings import ModelSettings

FITTED_FLOPS = (2e18, 2e20)
"""The least and the greatest C of the searches."""
FITTED_RATIO = 40.0
"""D / M in all of them; about eight times as many tokens as Chinchilla's optimum."""


class OutsideFitError(ValueError):
    """The compute lies where nothing was fitted; says how much it is and the range."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What the law says."""

    learning_rate: float
    """Peak of the schedule."""
    batch_tokens: float
    """Of the global batch."""


def suggest(flops: float) -> Suggestion:
    """Return the law's learning rate and batch for ``flops`` of training.

    Raises `OutsideFitError` outside of `FITTED_FLOPS`: at 1e15 the law would have a rate of 0.04.
    """
    low, high = FITTED_FLOPS
    if not low <= flops <= high:
        raise OutsideFitError(
            f"C = {flops:.3g} FLOP lies outside of {low:.0e} to {high:.0e}, where the law was"
            " fitted: search for the learning rate and the batch at this size"
        )
    return law(flops)


def law(flops: float) -> Suggestion:
    """Return the law's two power functions anywhere, also where they were not fitted."""
    return Suggestion(learning_rate=19.29 * flops**-0.177, batch_tokens=30.17 * flops**0.231)


def flops_per_token(config: CWMConfig, context_length: int) -> float:
    """Return the law's M, training FLOPs per token: 6 N_ne + 6 d L S.

    It lets every layer see half of the context, so it is not `model.config.flops_per_token`, which
    knows the windows and the head.
    """
    layers, width = config.num_hidden_layers, config.hidden_size
    matrices = layers * layer_parameters(config) + width * (2 * layers + 1)
    return 6.0 * matrices + 6.0 * width * layers * context_length


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Print the paper's learning rate and batch for an amount of training."""

    flops: float | None = None
    """C; else it comes from the other three."""
    tokens: float = 0.0
    """D: tokens of training."""
    context: int = 8_192
    """S: tokens of context."""
    model: ModelSettings = field(default_factory=ModelSettings)
    """The shape."""


def describe(arguments: Arguments) -> str:
    """Return the lines to print; `OutsideFitError` where the law does not hold."""
    lines, flops = [], arguments.flops
    if flops is None:
        config = shape_config(
            arguments.model,
            vocab_size=arguments.model.vocab_size,
            context_length=arguments.context,
            rope_scaling=None,
        )
        each = flops_per_token(config, arguments.context)
        flops = each * arguments.tokens
        lines = [
            f"M = {each:.3g} FLOP per token, D = {arguments.tokens:.3g} tokens, C = {flops:.3g}"
        ]
        if not 0.5 <= arguments.tokens / each / FITTED_RATIO <= 2:
            lines.append(
                f"D / M = {arguments.tokens / each:.2g}, but {FITTED_RATIO:g} where the law was"
                f" fitted: there, C trains a model of M = {(flops / FITTED_RATIO) ** 0.5:.2g}"
            )
    found = suggest(flops)
    lines.append(
        f"C = {flops:.3g}: learning rate {found.learning_rate:.2e},"
        f" batch {found.batch_tokens:,.0f} tokens"
    )
    return "\n".join(lines)


def main() -> int:
    """Print what the law says of the command line; 2 where it does not hold."""
    arguments = tyro.cli(Arguments, prog="python -m stages.training.scaling_law")
    if arguments.flops is None and arguments.tokens <= 0:
        print("give --flops, or --tokens with the shape of the --model", file=sys.stderr)
        return 2
    try:
        print(describe(arguments))
    except OutsideFitError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
