"""Decoding against HF's ``generate`` and vLLM: the same checkpoint, tokens per CPU second.

    python -m benchmarks.decode_throughput [--vllm-python PYTHON] [--profile]

One random checkpoint of 11 M parameters, written by ours and loaded by all; prompts of 64 tokens,
48 new ones, greedy, fp32, one thread, prefill included. vLLM runs in a child process under its own
interpreter (`make vllm` builds it), eager and compiled, warmed up before anything is measured and
without computing log-probabilities, which ours always does. The engines take turns, round by round.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Seconds, print_table, ratio  # before torch: one OpenMP thread

import torch  # isort: skip

from benchmarks.decode_engines import HF, VLLM, Engine, Ids, Ours, vllm_python
from model import CWM, CWMConfig

CONFIG = CWMConfig(
    vocab_size=8192,
    hidden_size=256,
    intermediate_size=896,
    num_hidden_layers=8,
    num_attention_heads=8,
    num_key_value_heads=2,
    head_dim=32,
    sliding_window=256,
    rope_scaling=None,
    max_position_embeddings=4096,
    bos_token_id=8000,
    eos_token_ids=(8001,),
)
PROMPT, NEW = 64, 48
LENGTH, LANES = 512, 32
BATCHES = (1, 8, 32)
OURS, THEIRS, EAGER, COMPILED = "ours", "HF", "vLLM eager", "vLLM compiled"


def bar(peer: str, batch: int) -> float:
    """Return the ratio that is aimed at."""
    return 0.9 if peer == COMPILED and batch < 32 else 1.0


def random_prompts(lengths: Sequence[int], seed: int) -> list[Ids]:
    """Return prompts of these lengths."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, 8000, (n,), generator=generator).tolist() for n in lengths]


@contextmanager
def engines(
    checkpoint: Path, python: Path | None, wanted: Sequence[str]
) -> Iterator[dict[str, Engine]]:
    """Load the checkpoint into every engine that is there."""
    with ExitStack() as stack:
        children: dict[str, VLLM] = {}
        for mode in ("eager", "compiled"):
            if python is not None and f"vLLM {mode}" in wanted:
                child = VLLM(python, checkpoint, mode, LENGTH, LANES)
                stack.callback(child.close)
                children[f"vLLM {mode}"] = child
        loaded: dict[str, Engine] = {}
        if OURS in wanted:
            loaded[OURS] = Ours(checkpoint, LENGTH, LANES)
        if THEIRS in wanted:
            loaded[THEIRS] = HF(checkpoint)
        for name, child in children.items():
            found = child.ready()
            print(f"{name}: {found['version']}, {found['compilation']}, {found['threads']} thread")
        yield loaded | children


@dataclass(frozen=True, slots=True)
class Row:
    """What one batch size gave: CPU seconds per engine and round, and the tokens."""

    seconds: Seconds
    tokens: dict[str, list[Ids]]


def measure(loaded: Mapping[str, Engine], batch: int, rounds: int) -> Row:
    """Let the engines take turns at ``batch`` prompts, after one unmeasured round."""
    prompts = random_prompts([PROMPT] * batch, seed=batch)
    row = Row({name: [] for name in loaded}, {})
    names = list(loaded)
    for number in range(-1, rounds):
        shift = number % len(names)  # nobody always runs after the same neighbour
        for name in names[shift:] + names[:shift]:
            decoded = loaded[name].decode(prompts, NEW)
            row.tokens[name] = decoded.tokens
            if number >= 0:
                row.seconds[name].append(decoded.seconds)
    return row


def agreement(tokens: list[Ids], others: list[Ids]) -> float:
    """Return the share of equal tokens."""
    pairs = [a == b for x, y in zip(tokens, others, strict=True) for a, b in zip(x, y, strict=True)]
    return statistics.mean(pairs)


def report(rows: Mapping[int, Row]) -> None:
    """Print tokens per CPU second, the ratios and the bars."""
    names = list(next(iter(rows.values())).seconds)
    body = []
    for batch, row in rows.items():
        for name in names:
            speed = batch * NEW / statistics.median(row.seconds[name])
            compared = ["", "", ""]
            if name != OURS and OURS in names:
                found, least = ratio(row.seconds, OURS, name), bar(name, batch)
                met = "met" if found.median >= least else "missed"
                compared = [str(found), f"≥ {least:.1f}×", met]
            same = (
                f"{agreement(row.tokens[name], row.tokens[THEIRS]):.1%}" if THEIRS in names else ""
            )
            body.append([batch, name, f"{speed:,.0f}", *compared, same])
    header = ("batch", "engine", "tokens/CPU s", "ours/peer (range)", "bar", "in this run", "as HF")
    print_table(f"Decoding, prompt {PROMPT}, {NEW} new tokens, fp32", header, body)


def profile(checkpoint: Path, batch: int) -> None:
    """Print where our decoding's time goes."""
    ours, prompts = Ours(checkpoint, LENGTH, LANES), random_prompts([PROMPT] * batch, seed=batch)
    ours.decode(prompts, NEW)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiled:
        ours.decode(prompts, NEW)
    averages = profiled.key_averages()
    print(f"batch {batch}:\n{averages.table(sort_by='self_cpu_time_total', row_limit=20)}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vllm-python", type=Path, help="an interpreter that has vLLM")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument(
        "--engines", nargs="+", default=(OURS, THEIRS, EAGER, COMPILED), help="which to run"
    )
    parser.add_argument("--profile", action="store_true", help="show where our time goes instead")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder)
        torch.manual_seed(0)
        CWM(CONFIG).save_pretrained(checkpoint)
        if arguments.profile:
            for batch in arguments.batches:
                profile(checkpoint, batch)
            return
        python = vllm_python(arguments.vllm_python)
        with engines(checkpoint, python, arguments.engines) as loaded:
            rows = {batch: measure(loaded, batch, arguments.rounds) for batch in arguments.batches}
        report(rows)


if __name__ == "__main__":
    main()
