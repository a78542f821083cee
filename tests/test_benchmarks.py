"""The benchmarks of training: they start, and both of train_step's loops are told the same."""

import re
import sys
from pathlib import Path

import pytest

from tests.ranks import run_ranks

ROOT = Path(__file__).parents[1]
OF_TRAINING = ("checkpoint_cost", "data_wait", "scaling", "train_step", "zero_overhead")


def helps_and_rows(folder):
    """In a process of its own, for DeepSpeed is imported."""
    import contextlib
    import importlib
    import io

    from benchmarks.trainers import Rows, Turns
    from benchmarks.training_jobs import LEARNING_RATE, MODELS, make_job, write_tokens

    helps = {}
    for name in OF_TRAINING:
        main = importlib.import_module(f"benchmarks.{name}").main
        sys.argv = [name, "--help"]
        with contextlib.redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 0
        helps[name] = out.getvalue()

    write_tokens(folder, MODELS["tiny"], [30, 40, 50, 60])
    job = make_job(folder, MODELS["tiny"], context_length=60, row_tokens=100, steps=3)
    item = {name: values.tolist() for name, values in Rows(job)[0].items()}

    sys.stdin, turns = io.StringIO("\n\n"), Turns(io.StringIO())
    rates = [turns(step) for step in range(3)]  # before the start
    turns.started = 1.0
    rates += [turns(step) for step in (0, 0, 1, 5, 4, 6)]
    assert set(rates) == {LEARNING_RATE}
    return helps, item, turns.out.getvalue().splitlines()


def test_benchmarks_of_training_start_and_train_on_the_same_rows(tmp_path):
    [(helps, item, said)] = run_ranks(1, helps_and_rows, tmp_path)
    for name, text in helps.items():
        assert f"usage: {name}" in text
    assert len(item["input_ids"]) <= 100
    starts = [i for i, position in enumerate(item["position_ids"]) if position == 0]
    assert len(starts) >= 2  # documents in a row
    for i, (token, label) in enumerate(zip(item["input_ids"], item["labels"], strict=True)):
        assert label == (-100 if i in starts else token)
    assert len(said) == 2  # a report for each turn


def test_make_bench_runs_every_benchmark_and_nothing_else():
    makefile = (ROOT / "Makefile").read_text()
    left_out = set(re.search(r"filter-out ([^,]*),", makefile)[1].split())
    files = sorted((ROOT / "benchmarks").glob("*.py"))
    has_main = {file.stem for file in files if "def main() -> None" in file.read_text()}
    assert {file.stem for file in files} - left_out == has_main - {"vllm_child", "trainers"}
