"""Training steps against transformers' CwmForCausalLM: same weights, same rows, taking turns.

    python -m benchmarks.train_throughput [--lengths 512 2048 4096] [--rounds 7]

11.01 M parameters (8 layers, width 256, vocabulary 8,192, window 256), forward, backward and fused
AdamW, one thread, fp32 unless said. Two documents of 512 tokens, or one of 2,048 or 4,096; HF gets
them as a batch, with labels, without a cache.

The two shares: a step's FLOPs per second (six per matrix parameter and token, twelve per head
dimension and visible key) over the rate at which the same process does the step's own matrix
products in fp32, forward and backward, each shape alone; once by `torch.mm` into memory that is
there already, which is what HF's layers call, once by `model.linear`'s choice (oneDNN), which ours
do.

Takes about three minutes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from functools import partial

from benchmarks.measure import Ratio, Seconds, interleaved, print_table, ratio  # before torch

import torch  # isort: skip

from benchmarks.shapes import ELEVEN_MILLION
from model import CWM, Packing
from model.config import flops_per_token
from model.linear import linear

DOCUMENTS = {512: 2, 2048: 1, 4096: 1}
"""How many documents of each length make a step."""
BARS = {512: 1.0, 2048: 1.8, 4096: 2.5}
"""Tokens per second, times HF's, that each length must reach."""
SHARE_BAR, BF16_BAR = 0.70, 1.3
Step = Callable[[], float]


def seeded() -> CWM:
    """Build the model that every variant starts from."""
    torch.manual_seed(0)
    return CWM(ELEVEN_MILLION)


def ids_of(length: int) -> torch.Tensor:
    """Return the step's documents, random, as [documents, length]."""
    shape = DOCUMENTS[length], length
    return torch.randint(
        0, ELEVEN_MILLION.vocab_size, shape, generator=torch.Generator().manual_seed(1)
    )


def stepper(model: torch.nn.Module, loss_of: Callable[[], torch.Tensor], bf16: bool) -> Step:
    """Return a training step, which returns its loss."""
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)

    def step() -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = loss_of()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def our_step(length: int, *, bf16: bool = False) -> Step:
    """Return a step of ours: the documents are one packed row."""
    model, ids_BT = seeded(), ids_of(length)
    labels_BT = ids_BT.roll(-1, dims=1)
    labels_BT[:, -1] = -100  # HF scores nothing at a document's end either
    packing = Packing.of([length] * len(ids_BT))
    row, labels = ids_BT.flatten(), labels_BT.flatten()
    return stepper(model, lambda: model(row, packing, labels), bf16)


def hf_step(length: int, *, bf16: bool = False) -> Step:
    """Return a step of transformers' model: the documents are a batch; it shifts the labels."""
    from transformers import AutoModelForCausalLM

    with tempfile.TemporaryDirectory() as folder:
        seeded().save_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa").train()
    ids_BT = ids_of(length)
    return stepper(model, lambda: model(ids_BT, labels=ids_BT, use_cache=False).loss, bf16)


def product_shapes() -> dict[tuple[int, int], int]:
    """Return how often a forward pass multiplies by a matrix of (inputs, outputs)."""
    counts: dict[tuple[int, int], int] = {}
    for name, parameter in CWM(ELEVEN_MILLION).named_parameters():
        if parameter.ndim == 2 and "embed" not in name:
            shape = parameter.shape[1], parameter.shape[0]
            counts[shape] = counts.get(shape, 0) + 1
    return counts


Product = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], object]
"""(A [m, k], B [n, k], memory for the result [m, n]): A B^T."""


def by_mm(a_MK: torch.Tensor, b_NK: torch.Tensor, out_MN: torch.Tensor) -> object:
    """Multiply as `F.linear` does."""
    return torch.mm(a_MK, b_NK.T, out=out_MN)


def by_linear(a_MK: torch.Tensor, b_NK: torch.Tensor, out_MN: torch.Tensor) -> object:
    """Multiply as our layers do; into new memory."""
    return linear(a_MK, b_NK)


def products(tokens: int, product: Product) -> Callable[[], None]:
    """Return a function that does a step's matrix products and nothing else."""
    calls: list[tuple[Callable[[], object], int]] = []
    for (inputs, outputs), count in product_shapes().items():
        x, w = torch.randn(tokens, inputs), torch.randn(outputs, inputs)
        y = torch.randn(tokens, outputs)
        calls += [
            (partial(product, x, w, torch.empty_like(y)), count),
            (partial(product, y, w.T, torch.empty_like(x)), count),
            (partial(product, y.T, x.T, torch.empty_like(w)), count),
        ]

    def run() -> None:
        for call, count in calls:
            for _ in range(count):
                call()

    return run


def step_flops(length: int) -> float:
    """Return the FLOPs of a training step."""
    return 3 * flops_per_token(ELEVEN_MILLION, length) * length * DOCUMENTS[length]


def product_flops(length: int) -> float:
    """Return those of its FLOPs that are products with a parameter."""
    parameters = sum(i * o * count for (i, o), count in product_shapes().items())
    return 6.0 * parameters * length * DOCUMENTS[length]


def variants_of(length: int) -> dict[str, Step]:
    """Return the steps to measure at this length; raises `ValueError` unless all start alike."""
    steps = {"ours": our_step(length), "HF": hf_step(length)}
    if length == min(DOCUMENTS):
        steps |= {"ours, bf16": our_step(length, bf16=True), "HF, bf16": hf_step(length, bf16=True)}
    losses = {name: step() for name, step in steps.items()}
    if max(losses.values()) - min(losses.values()) > 1e-2:
        raise ValueError(f"the variants do not compute the same loss: {losses}")
    return steps


def measure(length: int, rounds: int) -> list[list[str]]:
    """Measure one length and return its rows of the table."""
    tokens = length * DOCUMENTS[length]
    steps = variants_of(length)
    alone = {"torch.mm": products(tokens, by_mm), "model.linear": products(tokens, by_linear)}
    seconds: Seconds = interleaved({**steps, **alone}, rounds)
    factor = step_flops(length) / product_flops(length)
    rows = []
    for name in steps:
        median = statistics.median(seconds[name])
        rows.append(
            [
                f"{DOCUMENTS[length]} × {length}, {name}",
                f"{tokens / median:,.0f}",
                f"{step_flops(length) / median / 1e9:.0f}",
                *verdict(length, name, seconds),
                *(share(length, name, ratio(seconds, name, product), factor) for product in alone),
            ]
        )
    return rows


def share(length: int, name: str, found: Ratio, factor: float) -> str:
    """Write a ratio, times ``factor``, as a share with its range, and its bar if it has one."""
    low, median, high = (x * factor for x in (found.low, found.median, found.high))
    text = f"{median:.0%} ({low:.0%}–{high:.0%})"
    if name != "ours" or length != min(DOCUMENTS):
        return text
    return f"{text}, {SHARE_BAR:.0%}: {'met' if median >= SHARE_BAR else 'NOT met'}"


def verdict(length: int, name: str, seconds: Seconds) -> list[str]:
    """Return the columns "against" and "bar" of a row."""
    if name.startswith("HF"):
        return ["", ""]
    if name == "ours":
        found, bar = ratio(seconds, name, "HF"), BARS[length]
        return [f"HF {found}", f"{bar}: {'met' if found.median >= bar else 'NOT met'}"]
    found = ratio(seconds, name, "ours")
    return [f"fp32 {found}", f"{BF16_BAR}: {'met' if found.median >= BF16_BAR else 'NOT met'}"]


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", choices=DOCUMENTS, default=[*DOCUMENTS])
    parser.add_argument("--rounds", type=int, default=7, help="at 512; fewer at longer rows")
    arguments = parser.parse_args()
    rows = []
    for length in arguments.lengths:
        rounds = max(3, arguments.rounds * min(DOCUMENTS) * 2 // length)
        rows += measure(length, min(rounds, arguments.rounds))
    print_table(
        "A training step",
        [
            "documents × tokens",
            "tokens/s",
            "GFLOP/s",
            "against",
            "bar",
            "of torch.mm",
            "of model.linear",
        ],
        rows,
    )


if __name__ == "__main__":
    main()
