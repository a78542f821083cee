"""The data order: ours against grain's, and what a small training step waits for its data.

    python -m benchmarks.data_order [--rounds 5]

Where 16,384 pieces of an epoch of a million stand, by our permutation and by `grain`'s MapDataset
(one at a time, and all at once by the method that its own iterators use). How far each mix is from
the shares it was given, over 2 million pieces. Then, over 2,000 steps of 256 tokens, the processor
time of choosing rows, building the batch and weighing it, which is to be under 1 % of the 20 ms
that such a step takes at least. Takes about half a minute. grain comes with ``pip install
'.[bench]'``; without it only the last is measured.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from benchmarks.measure import interleaved, print_table, ratio  # first: one thread

import numpy as np  # isort: skip
import torch

from stages.training.batch import build_batch, weight_of
from stages.training.order import Order, permute
from stages.training.rows import Cursor, Rows
from stages.training.settings import MixEntry
from stages.training.source import Source
from stages.training.token_file import TokenFile, TokenWriter

SIZE, PIECES = 1_000_000, 16_384
SHARES = (0.4, 0.25, 0.15, 0.15, 0.05)
"""Of the tokens: those of tiny's mid-training."""
LENGTHS = (108, 42, 230, 245, 215)
"""Mean tokens of a piece of each data set."""
STEP_SECONDS, WAIT_BAR = 0.020, 0.01
MIXED = 2_000_000


def compare_order(rounds: int) -> None:
    """Print the processor time per piece of both orders."""
    from grain import MapDataset

    shuffled = MapDataset.range(SIZE).seed(0).shuffle().repeat(None)
    places = np.arange(SIZE // 2, SIZE // 2 + PIECES)
    indices = places.tolist()
    seconds = interleaved(
        {
            "ours": lambda: permute(places, SIZE, 0),
            "grain, one by one": lambda: [shuffled[i] for i in indices],
            "grain, all at once": lambda: shuffled._getitems(indices),
        },
        rounds,
    )
    print_table(
        f"where {PIECES:,} of {SIZE:,} pieces stand",
        ["", "µs per piece", "ours is quicker"],
        [
            [name, f"{min(times) / PIECES * 1e6:.2f}", ratio(seconds, "ours", name)]
            for name, times in seconds.items()
        ],
    )


def compare_shares(sources: list[Source]) -> None:
    """Print how far the tokens of each mix are from the shares."""
    from grain import MapDataset

    order = Order(sources, SHARES, 0, block_tokens=256 * 256)
    lengths = np.array([source.mean_tokens for source in sources])
    blocks = MIXED // sum(order.before(i, 1) for i in range(len(sources)))
    ours = np.array([order.before(i, blocks) for i in range(len(sources))])
    weights = np.array(SHARES) / lengths
    mixed = MapDataset.mix(
        [MapDataset.source([i]).repeat(None) for i in range(len(sources))], weights.tolist()
    )
    grains = np.bincount(mixed._getitems(range(MIXED)))
    rows = []
    for name, pieces in (("ours", ours), ("grain", grains)):
        tokens = pieces * lengths
        worst = abs(tokens / tokens.sum() / SHARES - 1).max()
        rows.append([name, f"{worst:.4%}"])
    print_table(f"shares of {MIXED:,} pieces' tokens", ["", "farthest from its share"], rows)


def measure_wait(rows: Rows, steps: int = 2000) -> None:
    """Print the processor time that a step of 256 tokens spends on its data."""
    spent = dict.fromkeys(("choosing rows", "building the batch", "weighing it"), 0.0)
    cursor, cpu = Cursor(), torch.device("cpu")
    for _ in range(steps):
        times = [time.process_time()]
        taken, cursor = rows.take(cursor, 1)
        times.append(time.process_time())
        build_batch(taken, rows.files, cpu)
        times.append(time.process_time())
        weight_of(taken, rows.files)
        times.append(time.process_time())
        for name, seconds in zip(spent, np.diff(times), strict=True):
            spent[name] += float(seconds) / steps
    spent["all"] = sum(spent.values())
    print_table(
        f"data of a step of {rows.row_tokens} tokens (bar: {WAIT_BAR:.0%})",
        ["", "µs", f"of {STEP_SECONDS * 1e3:.0f} ms"],
        [[n, f"{s * 1e6:.0f}", f"{s / STEP_SECONDS:.2%}"] for n, s in spent.items()],
    )


def data_sets(folder: Path) -> list[Source]:
    """Write and open data sets with pieces of about `LENGTHS`."""
    random, sources = np.random.default_rng(0), []
    for number, mean in enumerate(LENGTHS):
        writer = TokenWriter(folder / str(number))
        for document in range(2_000):
            ids = random.integers(0, 1024, max(2, int(random.normal(mean, 10)) % 256))
            writer.add(ids.tolist(), [0] + [255] * (len(ids) - 1), str(document))
        writer.close({"vocab_size": 1024})
        entry = MixEntry(dataset=str(number), weight=SHARES[number])
        sources.append(Source(TokenFile(writer.folder), entry, 256))
    return sources


def main() -> None:
    """Run the three comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    has_grain = find_spec("grain") is not None
    if has_grain:
        compare_order(rounds)
    else:
        print("grain is not installed here: pip install '.[bench]'")
    with tempfile.TemporaryDirectory() as folder:
        sources = data_sets(Path(folder))
        if has_grain:
            compare_shares(sources)
        measure_wait(Rows(sources, SHARES, seed=0, row_tokens=256))


if __name__ == "__main__":
    main()
