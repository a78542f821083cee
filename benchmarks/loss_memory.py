"""The loss of a linear head, forward and backward: ours, plain logits, ``F.linear_cross_entropy``.

    python -m benchmarks.loss_memory [--quick] [--rounds 2]

At 4,096 tokens, vocabulary 128,256, width 64: time, memory, and how far loss and gradients are
from plain logits and from float64. There ours is to take at most half the time and a tenth of the
memory of plain logits, with a loss within 1e-5 and gradients within 5e-6 of each tensor's greatest
entry. Then at the head of a training step: 1,024 tokens, vocabulary 8,192, width 256.

"per token" is what RL needs: the backward pass starts from one gradient per token, so the logits
are computed again. fp32, one thread. Takes about three minutes; ``--quick`` only does the second.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.measure import extra_memory, interleaved, print_table, ratio  # first: one thread

import torch  # isort: skip
import torch.nn.functional as F
from torch.nn import LinearCrossEntropyOptions

from model.loss import mean_loss, token_losses

Shape = tuple[int, int, int]
"""Tokens, vocabulary, width."""
LARGE, STEP = (4096, 128_256, 64), (1024, 8192, 256)
TIME_BAR, MEMORY_BAR, LOSS_BAR, GRADIENT_BAR = 0.5, 0.1, 1e-5, 5e-6
TORCHS = 512
"""The best chunk for torch's operator among 64 to 512, at both shapes."""
Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def plain(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """All logits at once."""
    return F.cross_entropy(F.linear(hidden, weight), labels)


def torchs(
    chunk: int | None,
    reduction: str,
    hidden: torch.Tensor,
    weight: torch.Tensor,
    labels: torch.Tensor,
) -> torch.Tensor:
    """Torch's chunked operator, with its own choice of a chunk where none is given."""
    options = LinearCrossEntropyOptions()
    if chunk is not None:
        options = LinearCrossEntropyOptions(batch_chunk_size=chunk)
    loss = F.linear_cross_entropy(hidden, weight, labels, reduction=reduction, options=options)
    return loss.mean()


def per_token(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Our losses of single tokens."""
    return token_losses(hidden, weight, labels).mean()


VARIANTS: dict[str, Loss] = {
    "ours": mean_loss,
    "plain logits": plain,
    "torch's, its chunk": partial(torchs, None, "mean"),
    f"torch's, chunk {TORCHS}": partial(torchs, TORCHS, "mean"),
    "ours, per token": per_token,
    f"torch's, chunk {TORCHS}, per token": partial(torchs, TORCHS, "none"),
}


def inputs(shape: Shape) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return hidden states, a head's weight and labels; the logits have a spread of about 2."""
    tokens, vocabulary, width = shape
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(tokens, width, generator=generator)
    weight = torch.randn(vocabulary, width, generator=generator) * 2 / width**0.5
    labels = torch.randint(0, vocabulary, (tokens,), generator=generator)
    return hidden.requires_grad_(), weight.requires_grad_(), labels


Results = dict[str, list[torch.Tensor]]
"""The loss and both gradients that each variant found."""


def step(name: str, shape: Shape, results: Results) -> Callable[[], None]:
    """Return a forward and backward pass as a call that leaves what it found in ``results``."""
    hidden, weight, labels = inputs(shape)

    def run() -> None:
        results.pop(name, None)
        loss = VARIANTS[name](hidden, weight, labels)
        results[name] = [loss.detach(), *torch.autograd.grad(loss, (hidden, weight))]

    return run


def case(name: str, shape: Shape) -> Iterator[None]:
    """One forward and backward pass, for `extra_memory`."""
    run = step(name, shape, {})
    yield
    run()


def exact(shape: Shape) -> list[torch.Tensor]:
    """Return loss and gradients in float64, by the definition, some tokens at a time."""
    hidden, weight, labels = (x.detach() for x in inputs(shape))
    weight, loss = weight.double(), torch.zeros((), dtype=torch.float64)
    grad_hidden, grad_weight = torch.zeros(shape[0], shape[2]).double(), torch.zeros_like(weight)
    for part in torch.arange(shape[0]).split(128):
        rows = hidden[part].double()
        log_probs = (rows @ weight.T).log_softmax(-1)
        places = torch.arange(len(part)), labels[part]
        loss -= log_probs[places].sum() / shape[0]
        grad = log_probs.exp_()
        grad[places] -= 1
        grad_hidden[part] = grad @ weight / shape[0]
        grad_weight += grad.T @ rows / shape[0]
    return [loss, grad_hidden, grad_weight]


def distance(found: list[torch.Tensor], true: list[torch.Tensor]) -> tuple[float, float]:
    """Return how far the loss is off, and the gradients as a share of their greatest entry."""
    shares = [(a - b).abs().max() / b.abs().max() for a, b in zip(found[1:], true[1:], strict=True)]
    return float((found[0] - true[0]).abs()), float(max(shares))


def print_shape(shape: Shape, rounds: int) -> None:
    """Measure every variant at one shape."""
    found: Results = {}
    seconds = interleaved({name: step(name, shape, found) for name in VARIANTS}, rounds, warmup=0)
    memory = {name: extra_memory(case, name, shape) for name in VARIANTS}
    true = [found["plain logits"], exact(shape)]
    rows, off = [], {}
    for name in VARIANTS:
        off[name] = [distance(found[name], x) for x in true]
        errors = [f"{loss:.0e}, {gradient:.0e}" for loss, gradient in off[name]]
        against = "" if name == "plain logits" else str(ratio(seconds, name, "plain logits"))
        cost = [f"{min(seconds[name]):.3f}", against, f"{memory[name] / 1e6:,.0f}"]
        rows.append([name, *cost, *errors])
    header = ["loss, gradients off:", "seconds", "plain/it (range)", "MB", "by plain", "by float64"]
    print_table(f"{shape[0]:,} tokens, vocabulary {shape[1]:,}, width {shape[2]}", header, rows)
    if shape == LARGE:
        time = 1 / ratio(seconds, "ours", "plain logits").median
        worst = [max(x[place] for x in off["ours"]) for place in range(2)]
        print_bars(time, memory["ours"] / memory["plain logits"], *worst)


def print_bars(time: float, memory: float, loss: float, gradient: float) -> None:
    """Print how ours stands to the four bars."""
    rows = [
        [what, f"{found:.2g}", f"≤ {bar:g}: {'met' if found <= bar else 'NOT met'}"]
        for what, found, bar in (
            ("time, of plain logits'", time, TIME_BAR),
            ("memory, of plain logits'", memory, MEMORY_BAR),
            ("loss off by", loss, LOSS_BAR),
            ("gradients off by, of the greatest entry", gradient, GRADIENT_BAR),
        )
    ]
    print_table("Ours, fused mean", ["", "found", "bar"], rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only the head of a training step")
    parser.add_argument("--rounds", type=int, default=2, help="at the large vocabulary")
    arguments = parser.parse_args()
    print_shape(STEP, 5)
    if not arguments.quick:
        print_shape(LARGE, arguments.rounds)


if __name__ == "__main__":
    main()
