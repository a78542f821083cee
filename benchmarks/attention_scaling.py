"""What long contexts cost: sliding-window attention, its peers, and a whole model at 131,072.

    python -m benchmarks.attention_scaling [--quick] [--rounds 3]

1. Our attention of a local layer (8 query heads, 2 key-value heads of 32, window 1,024) at 32,768
   and 131,072 tokens: four times the tokens are to cost at most 4.4 times the time and memory,
   forward and backward.
2. The same against one dense mask, made beforehand (as transformers' local layers have it), and
   against full causal attention without a window.
3. The resident memory that a forward pass with loss adds: 4 layers of width 128, the first global,
   vocabulary 8,192. And what training adds, each block computed again or kept, at 32,768.

fp32, one thread. The global layer at 131,072 tokens alone takes more than a minute; ``--quick``
stays at 32,768 there and does 1. at 8,192 and 32,768. Takes about four minutes, quick one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.measure import extra_memory, interleaved, print_table, ratio  # first: one thread

import torch  # isort: skip
import torch.nn.functional as F

from model import CWM, CWMConfig, Packing
from model.attention import default_attention
from model.recompute import Recompute

HEADS, KV_HEADS, DIM, WINDOW = 8, 2, 32, 1024
BAR = 4.4
"""How many times the cost four times the tokens may have."""
CONFIG = CWMConfig(
    vocab_size=8192,
    hidden_size=128,
    intermediate_size=448,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=32,
    sliding_window=WINDOW,
)
MODEL_BARS = {131_072: 1.1e9}
"""Bytes that a forward pass with loss may add, by its tokens."""
Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def ours(tokens: int, window: int | None = WINDOW) -> Attend:
    """Our attention over one document."""
    packing = Packing.of([tokens])
    return lambda q, k, v: default_attention(q, k, v, packing, window)


def dense(tokens: int) -> Attend:
    """SDPA with a boolean mask of all pairs, as transformers makes it once per forward pass."""
    place = torch.arange(tokens)
    distance = place.unsqueeze(1) - place
    mask = (distance >= 0) & (distance < WINDOW)

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k, v = (x.transpose(0, 1).unsqueeze(0) for x in (q, k, v))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
        return out.squeeze(0).transpose(0, 1)

    return attend


def inputs(tokens: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return random queries, keys and values."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(tokens, heads, DIM) for heads in (HEADS, KV_HEADS, KV_HEADS)]
    q, k, v = (torch.randn(s, generator=generator).requires_grad_() for s in shapes)
    return q, k, v


def forward(attend: Attend, tokens: int) -> Callable[[], object]:
    """Return the forward pass without gradients as a call."""
    return partial(torch.no_grad()(attend), *inputs(tokens))


def both(attend: Attend, tokens: int) -> Callable[[], object]:
    """Return the forward and backward pass as a call."""
    q, k, v = inputs(tokens)
    direction = torch.randn(q.shape, generator=torch.Generator().manual_seed(1))
    return lambda: torch.autograd.grad(attend(q, k, v), (q, k, v), direction)


def attention_case(tokens: int, backward: bool) -> Iterator[None]:
    """A call of our attention, for `extra_memory`."""
    call = (both if backward else forward)(ours(tokens), tokens)
    yield
    call()


def model_case(tokens: int, training: bool, recompute: Recompute) -> Iterator[None]:
    """A pass of the whole model with its loss, for `extra_memory`."""
    torch.manual_seed(0)
    model, packing = CWM(CONFIG, recompute=recompute), Packing.of([tokens])
    ids, labels = (torch.randint(0, CONFIG.vocab_size, (tokens,)) for _ in range(2))
    yield
    with torch.set_grad_enabled(training):
        loss = model(ids, packing, labels)
    if training:
        loss.backward()


def print_scaling(tokens: int, rounds: int) -> None:
    """Print what ``tokens`` and four times as many cost."""
    rows = []
    for name, make in (("forward", forward), ("forward + backward", both)):
        calls = {str(n): make(ours(n), n) for n in (tokens, 4 * tokens)}
        seconds = interleaved(calls, rounds, warmup=0)
        times = ratio(seconds, *calls)
        small, large = (extra_memory(attention_case, n, make is both) for n in (tokens, 4 * tokens))
        for what, cost, found, shown in (
            ("seconds", [f"{min(x):.2f}" for x in seconds.values()], times.median, times),
            ("MB", [f"{x / 1e6:,.0f}" for x in (small, large)], large / small, None),
        ):
            verdict = "met" if found <= BAR else "NOT met"
            text = str(shown or f"{found:.2f}×")
            rows.append([f"{name}, {what}", *cost, text, f"≤ {BAR}×: {verdict}"])
    header = ["our local layer", f"{tokens:,}", f"{4 * tokens:,}", "ratio (range)", "bar"]
    print_table("Sliding-window attention, four times the tokens", header, rows)


def print_peers(tokens: tuple[int, ...], rounds: int) -> None:
    """Print our local layer against a dense mask and against no window."""
    rows = []
    for n in tokens:
        for name, make in (("forward", forward), ("forward + backward", both)):
            calls = {"ours": make(ours(n), n), "dense": make(dense(n), n)}
            calls["causal"] = make(ours(n, None), n)
            seconds = interleaved(calls, rounds, warmup=0)
            against = [f"{min(seconds[x]):.3f} s, {ratio(seconds, 'ours', x)}" for x in calls]
            rows.append([f"{n:,} {name}", against[0].split(",")[0], *against[1:]])
    header = ["tokens", "ours", "dense mask, peer/ours", "no window, peer/ours"]
    print_table(f"A local layer (window {WINDOW:,}) against peers", header, rows)


def print_model(tokens: int, training_tokens: int) -> None:
    """Print what a whole model adds to the resident memory."""
    added = extra_memory(model_case, tokens, False, False)
    bar = MODEL_BARS.get(tokens)
    verdict = f"≤ {bar / 1e6:,.0f} MB: {'met' if added <= bar else 'NOT met'}" if bar else ""
    rows = [["forward with loss", f"{tokens:,}", f"{added / 1e6:,.0f} MB", verdict]]
    kinds: dict[str, Recompute] = {
        "training, blocks computed again": "full",
        "training, all but products and attention computed again": "selective",
        "training": "none",
    }
    for name, recompute in kinds.items():
        added = extra_memory(model_case, training_tokens, True, recompute)
        rows.append([name, f"{training_tokens:,}", f"{added / 1e6:,.0f} MB", ""])
    print_table("A whole model of 4 layers", ["", "tokens", "adds", "bar"], rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shorter contexts")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    quick = arguments.quick
    print_scaling(8192 if quick else 32_768, arguments.rounds)
    print_peers((2048,) if quick else (2048, 8192), arguments.rounds)
    print_model(32_768 if quick else 131_072, 8192 if quick else 32_768)


if __name__ == "__main__":
    main()
