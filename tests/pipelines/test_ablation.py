"""The ablation's arms differ in what they should differ in, and the whole of it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.dag.step import Pipeline
from pipelines.ablation import ARMS, BASE, PRESETS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def steps():
    return Pipeline(PRESETS["tiny"]()).steps


@pytest.mark.parametrize(
    "shares", [BASE, *(arm for arms in ARMS.values() for arm in arms.values())]
)
def test_shares_are_of_all_tokens(shares):
    assert sum(shares.values()) == pytest.approx(1.0)


def test_arms_of_a_seed_differ_in_their_mix_alone(steps):
    for study in ARMS:
        for seed in range(3):
            off, on = (steps[f"midtrain.{study}_{arm}_{seed}"] for arm in ("off", "on"))
            assert replace(off.settings, mix=on.settings.mix) == on.settings
            assert off.settings.mix != on.settings.mix
            assert off.inputs["checkpoint"] == on.inputs["checkpoint"] == f"pretrain.{seed}"
            assert off.settings.seed == steps[f"pretrain.{seed}"].settings.seed == seed


def test_the_cosine_ends_with_the_second_stage(steps):
    for name, step in steps.items():
        if name.startswith("midtrain."):
            first = steps[step.inputs["checkpoint"]].settings
            used = sum(s.steps * s.tokens_per_step for s in (first, step.settings))
            assert used == step.settings.schedule.horizon_tokens


def test_six_seeds_of_traces_and_three_of_trajectories_are_compared(steps):
    for study, seeds in (("scarce", 6), ("dense", 6), ("forage", 3)):
        inputs = steps[f"compare.{study}"].inputs
        assert set(inputs) == {f"{arm}_{seed}" for arm in ("on", "off") for seed in range(seeds)}
    first = steps["compare.scarce"].settings.contrasts[0]
    assert (first.measure, first.arm) == ("by_trace", "on")
    assert (first.against_measure, first.against_arm) == ("direct", "off")


@pytest.mark.long
def test_the_whole_ablation_runs_and_is_cached(tmp_path):
    command = [sys.executable, "pipelines/ablation.py", "--preset", "smoke"]
    command += ["--store", str(tmp_path / "store"), "--tracking", "none"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "CWM_"))}
    for again in (False, True):
        done = subprocess.run(
            command, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=580, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("runs: new" in done.stdout) != again
    folders = (tmp_path / "store" / "compare").glob("*/current")
    records = [json.loads((folder / "comparison.json").read_text()) for folder in folders]
    assert len(records) == len(ARMS)
    assert sorted(len(r["contrasts"][0]["found"]["by_seed"]) for r in records) == [1, 1, 2]
